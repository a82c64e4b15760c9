#include "ktrdr/endpoints/call.h"

namespace ktrdr::endpoints {
namespace {

constexpr const char* kIdPattern = "^[a-z0-9_-]{1,64}$";  // is_valid_id()

void describe_id(Call& call, const std::string& name) {
  call.parameters.push_back(
      {.place = "path", .name = name, .is_required = true, .type = {.pattern = kIdPattern}});
}

}  // namespace

namespace internal {

Readable::Readable(const Call& call) : body(call.body != nullptr) {
  for (const auto& parameter : call.parameters) {
    if (parameter.place == "query") query.insert(parameter.name);
  }
}

Result<void> Readable::check(const http::Request& request) const {
  for (const auto& [name, value] : request.query) {
    if (query.contains(name)) continue;
    std::string known;
    for (const std::string& one : query) known += (known.empty() ? "" : ", ") + one;
    return Error(ErrorCode::kInvalidArgument,
                 "The query has a name that this route does not know; it knows " +
                     (known.empty() ? std::string("none") : known) + ".");
  }
  if (body || request.body.empty()) return {};
  return Error(ErrorCode::kInvalidArgument, "This route takes no body; leave it out.");
}

}  // namespace internal

Result<OperationId> Argument<OperationId>::read(const http::Request& request) {
  return OperationId::parse(request.parameter("operation_id"));
}
void Argument<OperationId>::describe(Call& call) { describe_id(call, "operation_id"); }

Result<WorkerId> Argument<WorkerId>::read(const http::Request& request) {
  return WorkerId::parse(request.parameter("worker_id"));
}
void Argument<WorkerId>::describe(Call& call) { describe_id(call, "worker_id"); }

// The page has no script and loads nothing; its one style sheet stands in it.
http::Response Answer<Html>::write(const Html& page) {
  return {.body = page.text,
          .content_type = "text/html; charset=utf-8",
          .headers = {{"Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                       "frame-ancestors 'none'"}}};
}
api::AnswerDescription Answer<Html>::describe(int status) {
  return {.status = status, .description = "A page for people.", .content_type = "text/html"};
}

// The header asks proxies (nginx and its like) to pass events on as they come.
http::Response Answer<EventStream>::write(const EventStream& events) {
  return {
      .content_type = "text/event-stream", .headers = {{"X-Accel-Buffering", "no"}}, .stream = events.body};
}
api::AnswerDescription Answer<EventStream>::describe(int status) {
  return {.status = status, .description = "Events as they happen.", .content_type = "text/event-stream"};
}

}  // namespace ktrdr::endpoints
