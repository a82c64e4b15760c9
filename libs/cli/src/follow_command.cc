#include <CLI/CLI.hpp>

#include "commands.h"
#include "follower.h"

namespace ktrdr::cli {
namespace {

class FollowCommand final : public Command {
 public:
  void configure(CLI::App& app) override { app.add_option("ID", id_, "The operation's id")->required(); }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(id_));
    return follow(context, id, {OnInterrupt::kDetach, false});
  }

 private:
  std::string id_;
};

}  // namespace

CommandRow follow_command() {
  return {"follow", "Watch an operation to its end",
          "Example:\n"
          "  ktrdr follow op_training_20261123_140833_1a2b3c4d\n\n"
          "Ctrl+C only stops watching: the operation goes on.",
          []() -> std::unique_ptr<Command> { return std::make_unique<FollowCommand>(); }};
}

}  // namespace ktrdr::cli
