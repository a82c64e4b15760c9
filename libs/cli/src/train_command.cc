#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>

#include "commands.h"
#include "follower.h"
#include "json_document.h"
#include "ktrdr/core/durable_file.h"

namespace ktrdr::cli {
namespace {

constexpr std::size_t kLargestStrategy = std::size_t{1} << 20;
constexpr std::int64_t kLargestSeed = std::int64_t{1} << 53;  // what every JSON reader can hold exactly

Error bad_input(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

bool looks_like_a_file(const std::string& text) {
  return text.find('/') != std::string::npos || text.ends_with(".yaml") || text.ends_with(".yml");
}

// The codec would replace broken UTF-8 silently, and another text is another experiment.
bool is_utf8(const std::string& text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  const bool was_there = text.find(kReplacement) != std::string::npos;
  return was_there || json_string(text).find(kReplacement) == std::string::npos;
}

Result<std::string> read_strategy(const std::string& file) {
  auto text = read_file(file, kLargestStrategy);
  if (!text.ok()) return bad_input("Cannot read the strategy file " + file + ": " + text.error().message);
  if (text->find_first_not_of(" \t\r\n") == std::string::npos)
    return bad_input("The strategy file " + file + " is empty.");
  if (!is_utf8(*text))
    return bad_input("The strategy file " + file + " is not UTF-8 text; save it as UTF-8.");
  return text;
}

// A file's text is sent; a bare name is looked up in the server's strategies folder.
Result<void> add_strategy(const std::string& strategy, api::StartTrainingRequest& request) {
  std::error_code ignored;
  const auto status = std::filesystem::status(strategy, ignored);
  if (std::filesystem::is_directory(status))
    return bad_input(strategy + " is a folder, not a strategy file.");
  if (std::filesystem::exists(status)) {
    TRY_ASSIGN(request.strategy_yaml, read_strategy(strategy));
    return {};
  }
  if (looks_like_a_file(strategy) || strategy.empty())
    return bad_input("There is no strategy file '" + strategy + "'; check the path.");
  request.strategy_name = strategy;
  return {};
}

// A NaN is in no range and outside of none, and JSON has none: it would be sent as nothing.
Result<void> check_number(const std::optional<double>& number, const std::string& option) {
  if (!number || std::isfinite(*number)) return {};
  return bad_input(option + " must be a number.");
}

Result<void> check_date(const std::optional<std::string>& date, const std::string& option) {
  if (!date || parse_iso8601_ms(*date).ok()) return {};
  return bad_input(option + " must be a date such as 2024-01-31, not '" + *date + "'.");
}

class TrainCommand final : public Command {
 public:
  void configure(CLI::App& app) override {
    app.add_option("STRATEGY", strategy_, "A strategy file, or a name in the server's strategies folder")
        ->required();
    app.add_option("--data", data_, "Folder with the market data (default: the server's)")->type_name("DIR");
    app.add_option("--start", request_.start_date, "First day of data to use")->type_name("DATE");
    app.add_option("--end", request_.end_date, "Last day of data to use")->type_name("DATE");
    app.add_option("--symbols", symbols_, "Comma-separated; must be what the strategy says")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B");
    app.add_option("--timeframes", timeframes_, "Comma-separated; must be what the strategy says")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B");
    app.add_option("--seed", request_.seed, "Seed of all randomness (default: drawn once and stored)")
        ->check(CLI::Range(std::int64_t{0}, kLargestSeed));
    app.add_option("--checkpoint-every-epochs", request_.checkpoint_every_epochs,
                   "Checkpoint every N epochs (default: 10)")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
    app.add_option("--checkpoint-every-seconds", request_.checkpoint_every_seconds,
                   "... or every T seconds, also inside an epoch (default: 300)")
        ->check(CLI::Range(0.001, 1e9));
    app.add_option("--checkpoint-budget-percent", request_.checkpoint_budget_percent,
                   "... but never for more than this share of the training time (default: 1)")
        ->check(CLI::Range(1e-6, 100.0));
    app.add_option("--name", request_.task_id, "Id of the new operation (default: made by the server)")
        ->type_name("ID");
    app.add_flag("-f,--follow", follow_, "Watch it to its end; Ctrl+C cancels it");
  }

  Result<ExitCode> run(const Context& context) override {
    TRY(complete_request());
    TRY_ASSIGN(const auto api, context.api());
    TRY_ASSIGN(const api::StartTrainingResponse started, api->start_training(request_));
    TRY_ASSIGN(const OperationId id, OperationId::parse(started.task_id));
    say_started(context, started);
    if (follow_) return follow(context, id, {OnInterrupt::kCancel, true});
    context.note("Watch it with: ktrdr follow " + id.value);
    context.print(context.json() ? json_of(started) : id.value);
    return ExitCode::kOk;
  }

 private:
  Result<void> complete_request() {
    TRY(add_strategy(strategy_, request_));
    TRY(check_number(request_.checkpoint_every_seconds, "--checkpoint-every-seconds"));
    TRY(check_number(request_.checkpoint_budget_percent, "--checkpoint-budget-percent"));
    TRY(check_date(request_.start_date, "--start"));
    TRY(check_date(request_.end_date, "--end"));
    if (request_.task_id) TRY(OperationId::parse(*request_.task_id));
    std::error_code ignored;
    if (!data_.empty()) request_.data_dir = std::filesystem::absolute(data_, ignored).lexically_normal();
    if (!symbols_.empty()) request_.symbols = symbols_;
    if (!timeframes_.empty()) request_.timeframes = timeframes_;
    return {};
  }

  static void say_started(const Context& context, const api::StartTrainingResponse& started) {
    context.note("Started " + started.task_id + " (strategy " + started.strategy_name + ", seed " +
                 std::to_string(started.seed) + ").");
    if (started.workers_connected == 0)
      context.note("No worker is connected: it waits in the queue until one is.");
  }

  static std::string json_of(const api::StartTrainingResponse& started) {
    return JsonObject()
        .add("operation_id", started.task_id)
        .add("status", "started")
        .add("type", "training")
        .add("strategy_name", started.strategy_name)
        .add("seed", started.seed)
        .add("workers_connected", started.workers_connected)
        .text();
  }

  std::string strategy_, data_;
  std::vector<std::string> symbols_, timeframes_;
  api::StartTrainingRequest request_;
  bool follow_ = false;
};

}  // namespace

CommandRow train_command() {
  return {"train", "Start a training",
          "Example:\n"
          "  ktrdr train strategies/momentum.yaml --data ./market --seed 7 --follow\n\n"
          "Prints the operation's id. With --follow, Ctrl+C cancels the training with a checkpoint.",
          []() -> std::unique_ptr<Command> { return std::make_unique<TrainCommand>(); }};
}

}  // namespace ktrdr::cli
