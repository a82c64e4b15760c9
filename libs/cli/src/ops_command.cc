#include <CLI/CLI.hpp>
#include <algorithm>

#include "commands.h"
#include "json_document.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

using Summaries = std::vector<api::OperationSummary>;

bool is_resumable(const api::OperationSummary& operation) {
  return api::is_resumable(operation.status) && operation.checkpoint_summary.has_value();
}

std::vector<std::string> line_of(const api::OperationSummary& operation) {
  return {operation.operation_id,
          status_text(operation.status, operation.phase),
          percent_text(operation.progress_percentage),
          operation.checkpoint_summary.value_or("-"),
          operation.symbol.value_or("-"),
          operation.duration_seconds ? duration_text(*operation.duration_seconds) : "-"};
}

std::string table_of(const Summaries& operations) {
  std::vector<std::vector<std::string>> lines = {
      {"ID", "STATUS", "PROGRESS", "CHECKPOINT", "SYMBOL", "DURATION"}};
  for (const auto& operation : operations) lines.push_back(line_of(operation));
  return table_text(lines);
}

class OpsCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("-s,--status", status_, "pending, running, completed, failed or cancelled");
    app.add_option("-t,--type", type_, "Type of operation, such as training");
    app.add_option("-l,--limit", limit_, "At most this many, newest first")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
        ->capture_default_str();
    app.add_flag("-a,--active", active_, "Only those that are pending or running");
    app.add_option("--retries-of", retries_of_, "Only the retries of this operation, oldest first");
    app.add_flag("-r,--resumable", resumable_, "Only those that `ktrdr resume` can continue");
  }

  Result<ExitCode> run(const Context& context) override {
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const Summaries operations, found(*api));
    if (context.json()) {
      context.print(json_list(operations));
    } else if (operations.empty()) {
      context.note(nothing_found());
    } else {
      context.print(table_of(operations));
      const auto count = std::count_if(operations.begin(), operations.end(), is_resumable);
      context.note(std::to_string(count) + " resumable");
    }
    return ExitCode::kOk;
  }

 private:
  Result<std::optional<api::OperationStatus>> wanted_status() const {
    if (!status_) return std::optional<api::OperationStatus>();
    const auto status = api::parse_operation_status(*status_);
    if (status) return status;
    return Error(ErrorCode::kInvalidArgument,
                 "'" + *status_ + "' is not a status; use pending, running, completed, failed or cancelled.");
  }

  Result<Summaries> found(client::ApiClient& api) const {
    if (!retries_of_.empty()) return retries(api);
    return resumable_ ? list_resumable(api) : list(api);
  }

  Result<Summaries> list(client::ApiClient& api) const {
    TRY_ASSIGN(const auto status, wanted_status());
    return pages(api, {.status = status, .operation_type = type_, .active_only = active_},
                 [](const auto&) { return true; });
  }

  // Page by page, until as many are found as are wanted.
  template <class IsWanted>
  Result<Summaries> pages(client::ApiClient& api, client::OperationFilter filter, IsWanted is_wanted) const {
    const auto wanted = static_cast<std::size_t>(limit_);
    filter.limit = resumable_ ? kLongestPage : std::min(limit_, kLongestPage);
    Summaries found;
    do {
      TRY_ASSIGN(const auto page, api.list_operations(filter));
      std::copy_if(page.data.begin(), page.data.end(), std::back_inserter(found), is_wanted);
      filter.cursor = page.next_cursor;
    } while (filter.cursor && found.size() < wanted);
    found.resize(std::min(found.size(), wanted));
    return found;
  }

  Result<Summaries> retries(client::ApiClient& api) const {
    TRY_ASSIGN(const OperationId id, OperationId::parse(retries_of_));
    TRY_ASSIGN(auto answer, api.children(id));
    return std::move(answer.data);
  }

  // Two statuses can be resumed and the server filters by one: both are asked for, and the newest of both
  // kept.
  Result<Summaries> list_resumable(client::ApiClient& api) const {
    TRY_ASSIGN(const auto wanted, wanted_status());
    Summaries found;
    for (const auto status : {api::OperationStatus::kFailed, api::OperationStatus::kCancelled}) {
      if (active_ || (wanted && *wanted != status)) continue;
      TRY_ASSIGN(const auto some, pages(api, {.status = status, .operation_type = type_}, is_resumable));
      found.insert(found.end(), some.begin(), some.end());
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
    if (found.size() > static_cast<std::size_t>(limit_)) found.resize(static_cast<std::size_t>(limit_));
    return found;
  }

  std::string nothing_found() const {
    if (!retries_of_.empty()) return "It was not retried.";
    if (resumable_) return "No operation can be resumed.";
    if (status_ || type_) return "No operation matches.";
    if (active_) return "No operation is active.";
    return "No operations yet. Start one with: ktrdr train STRATEGY.yaml";
  }

  static constexpr std::int64_t kLongestPage = 1000;  // the server's limit
  std::optional<std::string> status_, type_;
  std::string retries_of_;
  std::int64_t limit_ = 50;
  bool active_ = false, resumable_ = false;
};

}  // namespace

CommandRow ops_command() {
  return {"ops", "List operations, newest first", "Example:\n  ktrdr ops --resumable",
          []() -> std::unique_ptr<Command> { return std::make_unique<OpsCommand>(); }};
}

}  // namespace ktrdr::cli
