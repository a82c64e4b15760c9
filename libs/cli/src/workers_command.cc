#include <CLI/CLI.hpp>

#include "commands.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

std::string table_of(const std::vector<api::WorkerInfo>& workers) {
  std::vector<std::vector<std::string>> lines = {{"NAME", "TYPE", "STATUS", "OPERATION", "ENDPOINT", "ID"}};
  for (const auto& worker : workers) {
    lines.push_back({worker.name.empty() ? "-" : worker.name, worker.worker_type, worker.status,
                     worker.current_operation_id.value_or("-"), worker.endpoint_url, worker.worker_id});
  }
  return table_text(lines);
}

class WorkersCommand final : public Command {
 public:
  void configure(CLI::App&) override {}

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto workers, api->workers());
    if (context.json()) context.print(api::to_json(workers));
    else if (workers.empty()) context.note("No worker is connected. Start one with: ktrdr-worker");
    else context.print(table_of(workers));
    TRY_ASSIGN(const auto health, api->health());
    for (const std::string& problem : health.problems.value_or(std::vector<std::string>()))
      context.note(problem);
    return ExitCode::kOk;
  }
};

}  // namespace

CommandRow workers_command() {
  return {"workers", "List the connected workers", "Example:\n  ktrdr workers --json",
          []() -> std::unique_ptr<Command> { return std::make_unique<WorkersCommand>(); }};
}

}  // namespace ktrdr::cli
