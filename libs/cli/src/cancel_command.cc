#include <CLI/CLI.hpp>

#include "commands.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::cli {
namespace {

class CancelCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("ID", id_, "The operation's id")->required();
    app.add_option("-r,--reason", request_.reason, "Kept with the operation");
    app.add_flag("-f,--force", request_.force,
                 "Accepted for older scripts; a checkpoint is saved all the same");
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(id_));
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto answer, api->cancel(id, request_));
    if (context.json()) context.print(api::to_json(answer.data));
    else say(context, answer.data);
    return ExitCode::kOk;
  }

 private:
  static void say(const Context& context, const api::CancelData& data) {
    if (data.status != api::OperationStatus::kCancelled) {
      context.print(data.operation_id + " cancelling");
      context.note("It is still saving its checkpoint. Watch it with: ktrdr follow " + data.operation_id);
      return;
    }
    context.print(data.operation_id + " cancelled");
    if (data.cancelled_at) context.note("at " + *data.cancelled_at);
    if (data.cancellation_reason) context.note("reason: " + *data.cancellation_reason);
    context.note("resume with: ktrdr resume " + data.operation_id);
  }

  std::string id_;
  api::CancelRequest request_;
};

}  // namespace

CommandRow cancel_command() {
  return {"cancel", "Stop an operation and keep a checkpoint of that point",
          "Example:\n  ktrdr cancel op_training_20261123_140833_1a2b3c4d --reason \"wrong data\"",
          []() -> std::unique_ptr<Command> { return std::make_unique<CancelCommand>(); }};
}

}  // namespace ktrdr::cli
