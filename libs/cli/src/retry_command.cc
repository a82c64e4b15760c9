#include <CLI/CLI.hpp>

#include "commands.h"
#include "follower.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::cli {
namespace {

class RetryCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("ID", id_, "The failed or cancelled operation's id")->required();
    app.add_flag("-f,--follow", follow_, "Watch it to its end; Ctrl+C cancels it");
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(id_));
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto answer, api->retry(id));
    const OperationId again{answer.data.operation_id};
    context.note("Started again from its beginning, as " + again.value + ".");
    if (follow_) return follow(context, again, {OnInterrupt::kCancel, true});
    context.note("Watch it with: ktrdr follow " + again.value);
    context.print(context.json() ? api::to_json(answer.data) : again.value);
    return ExitCode::kOk;
  }

 private:
  std::string id_;
  bool follow_ = false;
};

}  // namespace

CommandRow retry_command() {
  return {"retry", "Start a failed or cancelled operation again, from its beginning",
          "Example:\n"
          "  ktrdr retry op_training_20261123_140833_1a2b3c4d --follow\n\n"
          "It is a new operation with the same strategy, seed and data. `ktrdr resume` goes on from the\n"
          "checkpoint instead.",
          []() -> std::unique_ptr<Command> { return std::make_unique<RetryCommand>(); }};
}

}  // namespace ktrdr::cli
