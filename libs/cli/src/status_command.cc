#include <CLI/CLI.hpp>

#include "commands.h"
#include "json_document.h"
#include "ktrdr/core/ids.h"
#include "operation_text.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

struct Overview {
  api::HealthResponse health;
  std::vector<std::pair<std::string, std::int64_t>> counts;  // status and how many operations have it
};

Result<Overview> read_overview(client::ApiClient& api) {
  using enum api::OperationStatus;
  Overview overview;
  TRY_ASSIGN(overview.health, api.health());
  for (const auto status : {kPending, kRunning, kCompleted, kFailed, kCancelled}) {
    TRY_ASSIGN(const auto list, api.list_operations({.status = status, .limit = 1}));
    overview.counts.emplace_back(to_string(status), list.total_count);
  }
  return overview;
}

std::string json_of(const Overview& overview) {
  JsonObject operations;
  for (const auto& [status, count] : overview.counts) operations.add(status, count);
  return JsonObject()
      .add_json("operations", operations.text())
      .add("workers", overview.health.workers_connected)
      .add("version", overview.health.version)
      .text();
}

std::string text_of(const Overview& overview, const std::string& url) {
  std::vector<Row> rows = {{"server", url + " (" + overview.health.version + ")"},
                           {"workers", std::to_string(overview.health.workers_connected)}};
  for (const auto& [status, count] : overview.counts) rows.emplace_back(status, std::to_string(count));
  return rows_text(rows);
}

class StatusCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("ID", id_, "An operation's id; without it, the server's overview");
  }

  Result<ExitCode> run(const Context& context) override {
    return id_ ? show_operation(context) : show_overview(context);
  }

 private:
  Result<ExitCode> show_operation(const Context& context) {
    TRY_ASSIGN(const OperationId id, OperationId::parse(*id_));
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto answer, api->operation(id));
    context.print(context.json() ? api::to_json(answer.data) : operation_text(answer.data, context.now()));
    const std::string hint = resume_hint(answer.data);
    if (!hint.empty()) context.note(hint);
    return ExitCode::kOk;
  }

  Result<ExitCode> show_overview(const Context& context) {
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const Overview overview, read_overview(*api));
    context.print(context.json() ? json_of(overview) : text_of(overview, api->url()));
    return ExitCode::kOk;
  }

  std::optional<std::string> id_;
};

}  // namespace

CommandRow status_command() {
  return {"status", "Show one operation, or an overview of all",
          "Example:\n  ktrdr status op_training_20261123_140833_1a2b3c4d",
          []() -> std::unique_ptr<Command> { return std::make_unique<StatusCommand>(); }};
}

}  // namespace ktrdr::cli
