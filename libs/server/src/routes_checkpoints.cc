#include "arguments.h"
#include "ktrdr/api/checkpoint.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

Result<api::CheckpointResponse> show_checkpoint(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(std::vector<api::CheckpointInfo> kept, context.operations.checkpoints(id));
  const api::CheckpointInfo current = kept.front();
  return api::CheckpointResponse{
      .data = {.operation_id = id.value,
               .checkpoint_type = current.checkpoint_type,
               .created_at = current.created_at,
               .state = current,
               .kept = std::move(kept),
               .artifacts_path = (context.checkpoints_root / id.value / current.ref.to_string()).string()}};
}

Result<api::MessageResponse> delete_checkpoint(RouteContext& context, const OperationId& id) {
  TRY(context.operations.delete_checkpoints(id));
  return api::MessageResponse{.message = "The checkpoints of " + id.value + " are deleted."};
}

}  // namespace

EndpointTable checkpoint_endpoints(RouteContext& c) {
  const std::string checkpoint = "/api/v1/checkpoints/{operation_id}";
  return {{.method = Method::kGet,
           .path = checkpoint,
           .name = "get_checkpoint",
           .summary = "The current checkpoint of an operation, and the one before it.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound},
           .call = call([&c](const OperationId& id) { return show_checkpoint(c, id); })},
          {.method = Method::kDelete,
           .path = checkpoint,
           .name = "delete_checkpoints",
           .summary = "Delete the checkpoints of an operation that is not running.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound, ErrorCode::kConflict},
           .call = call([&c](const OperationId& id) { return delete_checkpoint(c, id); })}};
}

}  // namespace ktrdr::server
