#include <CLI/CLI.hpp>

#include "commands.h"
#include "follower.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

std::string resumed_text(const api::ResumeOperationData& data) {
  const api::ResumedFromInfo& from = data.resumed_from;
  const api::CheckpointInfo position{.start_epoch = from.start_epoch, .start_batch = from.start_batch};
  return "Resumed " + data.operation_id + " (attempt " + std::to_string(data.attempt) + ") from its " +
         std::string(to_string(from.checkpoint_type)) + " checkpoint: " + position_text(position) +
         ", saved at " + from.created_at + ".";
}

class ResumeCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("ID", id_, "The operation's id")->required();
    app.add_flag("--allow-changes", request_.allow_changes,
                 "Go on although strategy, data or software differ: it is another experiment then");
    app.add_flag("-f,--follow", follow_, "Watch it to its end; Ctrl+C cancels it");
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(id_));
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto answer, api->resume(id, request_));
    context.note(resumed_text(answer.data));
    if (answer.data.workers_connected == 0)
      context.note("No worker is connected: it waits in the queue until one is.");
    if (follow_) return follow(context, id, {OnInterrupt::kCancel, true});
    context.note("Watch it with: ktrdr follow " + id.value);
    context.print(context.json() ? api::to_json(answer.data) : id.value);
    return ExitCode::kOk;
  }

 private:
  std::string id_;
  api::ResumeOperationRequest request_;
  bool follow_ = false;
};

}  // namespace

CommandRow resume_command() {
  return {"resume", "Continue a cancelled or failed operation from its checkpoint",
          "Example:\n"
          "  ktrdr resume op_training_20261123_140833_1a2b3c4d --follow\n\n"
          "The finished model is the one that an undisturbed run would have produced.",
          []() -> std::unique_ptr<Command> { return std::make_unique<ResumeCommand>(); }};
}

}  // namespace ktrdr::cli
