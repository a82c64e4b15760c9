#include "ktrdr/services/trainings_service.h"

#include <algorithm>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/log.h"
#include "ktrdr/strategy/strategy.h"

namespace ktrdr::services {
namespace {

constexpr std::size_t kLargestStrategy = std::size_t{1} << 20;
constexpr std::int64_t kLargestSeed = (std::int64_t{1} << 53) - 1;  // exact in every JSON reader
constexpr std::int64_t kDefaultCheckpointEpochs = 10;
constexpr double kDefaultCheckpointSeconds = 300;
constexpr double kDefaultCheckpointBudget = 1;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

// A strategy's name is a file's name here: no folder, no hidden file.
bool is_strategy_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  return !name.empty() && name.size() <= 128 && name.front() != '.' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// The Python project's clients repeat what the strategy says; anything else they could mean we can't do.
Result<void> check_same(const std::optional<std::vector<std::string>>& given, const std::string& in_strategy,
                        const std::string& key) {
  if (!given || (given->size() == 1 && given->front() == in_strategy)) return {};
  return invalid("'" + key + "' must be exactly what the strategy trains on (" + in_strategy +
                 "), or left out; change the strategy file to train on something else.");
}

Result<std::int64_t> seed_of(const api::StartTrainingRequest& request) {
  if (!request.seed) return std::stoll(random_hex(6), nullptr, 16);  // 48 bits
  if (*request.seed < 0 || *request.seed > kLargestSeed) return invalid("'seed' must be from 0 to 2^53 - 1.");
  return *request.seed;
}

Result<void> check_policy(const api::StartTrainingRequest& request) {
  const std::int64_t epochs = request.checkpoint_every_epochs.value_or(kDefaultCheckpointEpochs);
  const double seconds = request.checkpoint_every_seconds.value_or(kDefaultCheckpointSeconds);
  const double budget = request.checkpoint_budget_percent.value_or(kDefaultCheckpointBudget);
  if (epochs < 1 || epochs > 1'000'000)
    return invalid("'checkpoint_every_epochs' must be from 1 to 1000000.");
  if (!(seconds >= 0.001 && seconds <= 1e9))
    return invalid("'checkpoint_every_seconds' must be from 0.001 to 1000000000.");
  if (!(budget > 0 && budget <= 100))
    return invalid("'checkpoint_budget_percent' must be more than 0 and at most 100.");
  return {};
}

// A symbol that is not there is the request's mistake: "not found" is what the API says of operations.
Result<strategy::Dataset> prepare(const strategy::Strategy& strategy,
                                  const strategy::DataSelection& selection) {
  auto dataset = strategy::prepare_dataset(strategy, selection);
  if (!dataset.ok() && dataset.error().code == ErrorCode::kNotFound) return invalid(dataset.error().message);
  return dataset;
}

api::OperationMetadata metadata_of(const strategy::Strategy& strategy, const strategy::Dataset& dataset) {
  return {.symbol = strategy.symbol,
          .timeframe = strategy.timeframe,
          .mode = "training",
          .start_date = iso8601_utc(dataset.first_timestamp_ms),
          .end_date = iso8601_utc(dataset.last_timestamp_ms)};
}

}  // namespace

TrainingsService::TrainingsService(Clock& clock, storage::OperationsRepository& operations,
                                   WorkerRegistry& workers, TrainingFolders folders)
    : clock_(clock), operations_(operations), workers_(workers), folders_(std::move(folders)) {}

Result<api::StartTrainingResponse> TrainingsService::start(
    const api::StartTrainingRequest& request, const std::optional<storage::IdempotencyKey>& key) {
  if (key) {  // rule 13: a repeat gets the first answer, also when the data has changed or gone since
    TRY_ASSIGN(const auto before, operations_.created_before(*key));
    if (before) return accepted(*before);
  }
  TRY(check_policy(request));
  TRY_ASSIGN(const OperationId id, request.task_id ? OperationId::parse(*request.task_id)
                                                   : Result(new_operation_id("training", clock_.wall_ms())));
  TRY_ASSIGN(const std::int64_t seed, seed_of(request));
  TRY_ASSIGN(std::string text, strategy_text(request));
  TRY_ASSIGN(const strategy::Strategy strategy, strategy::parse_strategy(text));
  TRY(check_same(request.symbols, strategy.symbol, "symbols"));
  TRY(check_same(request.timeframes, strategy.timeframe, "timeframes"));
  TRY_ASSIGN(const strategy::DataSelection selection, data_selection(request));
  TRY_ASSIGN(const strategy::Dataset dataset, prepare(strategy, selection));

  storage::NewOperation operation{.id = id, .metadata = metadata_of(strategy, dataset)};
  operation.request = {
      .strategy_name = strategy.name,
      .strategy_yaml = std::move(text),
      .data_dir = selection.folder.string(),
      .symbol = strategy.symbol,
      .timeframe = strategy.timeframe,
      .start_ms = dataset.first_timestamp_ms,
      .end_ms = dataset.last_timestamp_ms,
      .seed = seed,
      .checkpoint_every_epochs = request.checkpoint_every_epochs.value_or(kDefaultCheckpointEpochs),
      .checkpoint_every_seconds = request.checkpoint_every_seconds.value_or(kDefaultCheckpointSeconds),
      .checkpoint_budget_percent = request.checkpoint_budget_percent.value_or(kDefaultCheckpointBudget),
      .data_fingerprint = dataset.fingerprint};
  TRY_ASSIGN(const storage::Created created, operations_.create(operation, key));
  log(LogLevel::kInfo, created.replayed ? "start repeated" : "created",
      {{"operation", created.operation.operation_id},
       {"attempt", std::to_string(created.operation.attempt)},
       {"strategy", strategy.name},
       {"symbol", strategy.symbol}});
  return accepted(created.operation);
}

Result<api::StartTrainingResponse> TrainingsService::accepted(const api::Operation& operation) {
  TRY_ASSIGN(const api::TrainingJob job, operations_.job({operation.operation_id}));
  const api::TrainingRequest& request = job.request;
  return api::StartTrainingResponse{.task_id = operation.operation_id,
                                    .message = "Training of " + request.strategy_name + " on " +
                                               request.symbol + " " + request.timeframe + " was accepted.",
                                    .symbols = {request.symbol},
                                    .timeframes = {request.timeframe},
                                    .strategy_name = request.strategy_name,
                                    .seed = request.seed,
                                    .version = operation.version,
                                    .workers_connected = workers_.connected_count()};
}

Result<std::string> TrainingsService::strategy_text(const api::StartTrainingRequest& request) const {
  if (request.strategy_yaml) return *request.strategy_yaml;
  if (!request.strategy_name)
    return invalid("Give 'strategy_yaml' (the text) or 'strategy_name' (a file of the server).");
  if (!is_strategy_name(*request.strategy_name)) {
    return invalid(
        "'strategy_name' must be the name of a file in the server's strategies folder, without a path.");
  }
  for (const std::string& file :
       {*request.strategy_name, *request.strategy_name + ".yaml", *request.strategy_name + ".yml"}) {
    auto text = read_file(folders_.strategies / file, kLargestStrategy);
    if (text.ok() || text.error().code != ErrorCode::kNotFound) return text;
  }
  return invalid("There is no such strategy in the server's strategies folder (" +
                 folders_.strategies.string() + "); put the file there, or send its text.");
}

Result<strategy::DataSelection> TrainingsService::data_selection(
    const api::StartTrainingRequest& request) const {
  strategy::DataSelection selection{.folder = folders_.market_data};
  if (request.data_dir) selection.folder = *request.data_dir;
  if (!selection.folder.is_absolute()) return invalid("'data_dir' must be an absolute path.");
  if (request.start_date) {
    TRY_ASSIGN(selection.start_ms, parse_iso8601_ms(*request.start_date));
  }
  if (request.end_date) {
    TRY_ASSIGN(selection.end_ms, strategy::parse_end_date_ms(*request.end_date));
  }
  return selection;
}

}  // namespace ktrdr::services
