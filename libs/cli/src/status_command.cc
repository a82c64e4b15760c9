#include <CLI/CLI.hpp>

#include <charconv>

#include "commands.h"
#include "event_text.h"
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
  for (const std::string& problem : overview.health.problems.value_or(std::vector<std::string>())) {
    rows.emplace_back("problem", problem);
  }
  return rows_text(rows);
}

constexpr std::int64_t kAll = -1;
constexpr std::int64_t kLargestPage = 1000;

// "all", or how many.
std::optional<std::int64_t> event_count(const std::string& text) {
  if (text == "all") return kAll;
  std::int64_t count = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool is_number = status == std::errc{} && end == text.data() + text.size();
  return is_number && count >= 0 && count <= kLargestPage ? std::optional(count) : std::nullopt;
}

std::string check_event_count(const std::string& text) {
  return event_count(text) ? "" : "must be a number from 0 to 1000, or all";
}

Result<std::vector<api::OperationEvent>> all_events(client::ApiClient& api, const OperationId& id) {
  std::vector<api::OperationEvent> events;
  for (std::int64_t after = 0;; after = events.back().sequence) {
    TRY_ASSIGN(const auto page, api.events(id, {.after = after, .limit = kLargestPage}));
    events.insert(events.end(), page.data.events.begin(), page.data.events.end());
    if (page.data.events.empty()) return events;
  }
}

Result<std::vector<api::OperationEvent>> read_events(client::ApiClient& api, const OperationId& id,
                                                     std::int64_t count) {
  if (count == 0) return std::vector<api::OperationEvent>{};
  if (count == kAll) return all_events(api, id);
  TRY_ASSIGN(auto page, api.events(id, {.limit = count}));
  return std::move(page.data.events);
}

// The operation's document, with its history as one key more.
std::string json_of(const api::Operation& operation, const std::vector<api::OperationEvent>& events) {
  std::string json = api::to_json(operation);
  if (events.empty()) return json;
  json.pop_back();  // the brace
  return json + ",\"events\":" + json_list(events) + "}";
}

std::string text_of(const api::Operation& operation, const std::vector<api::OperationEvent>& events,
                    std::int64_t now_wall_ms) {
  const std::string text = operation_text(operation, now_wall_ms);
  return events.empty() ? text : text + "\n" + events_text(events);
}

class StatusCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("ID", id_, "An operation's id; without it, the server's overview");
    app.add_option("--events", events_, "How much of its history: the newest N (10), or all")
        ->type_name("N|all")
        ->check(check_event_count, "");
  }

  Result<ExitCode> run(const Context& context) override {
    return id_ ? show_operation(context) : show_overview(context);
  }

 private:
  Result<ExitCode> show_operation(const Context& context) {
    TRY_ASSIGN(const OperationId id, OperationId::parse(*id_));
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const auto answer, api->operation(id));
    TRY_ASSIGN(const auto events, read_events(*api, id, event_count(events_).value_or(0)));
    context.print(context.json() ? json_of(answer.data, events)
                                 : text_of(answer.data, events, context.now()));
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
  std::string events_ = "10";
};

}  // namespace

CommandRow status_command() {
  return {"status", "Show one operation, or an overview of all",
          "Example:\n  ktrdr status op_training_20261123_140833_1a2b3c4d",
          []() -> std::unique_ptr<Command> { return std::make_unique<StatusCommand>(); }};
}

}  // namespace ktrdr::cli
