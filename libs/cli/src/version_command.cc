#include <CLI/CLI.hpp>

#include "commands.h"
#include "json_document.h"

namespace ktrdr::cli {
namespace {

class VersionCommand final : public Command {
 public:
  void configure(CLI::App&) override {}

  Result<ExitCode> run(const Context& context) override {
    context.print(context.json() ? JsonObject().add("version", KTRDR_VERSION).text()
                                 : "ktrdr " KTRDR_VERSION);
    return ExitCode::kOk;
  }
};

}  // namespace

CommandRow version_command() {
  return {"version", "Print the version of this program", "Example:\n  ktrdr version",
          []() -> std::unique_ptr<Command> { return std::make_unique<VersionCommand>(); }};
}

}  // namespace ktrdr::cli
