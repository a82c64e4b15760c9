#include "person.h"

#include "support/child_process.h"

namespace ktrdr::chaos {
namespace {

constexpr std::size_t kTrainingsAtATime = 2;
constexpr int kCancelOneIn = 25;          // looks at a training that has begun ...
constexpr int kCancelWaitingOneIn = 400;  // ... and at one that has not: there is nothing to resume then
constexpr Duration kBetweenLooks = std::chrono::milliseconds(80);

std::string path_of(const OperationId& id, const std::string& rest = "") {
  return "/operations/" + id.value + rest;
}

std::vector<client::HttpHeader> with_key(const std::string& key) { return {{"Idempotency-Key", key}}; }

bool is_history_whole(const api::Operation& operation, std::int64_t epochs) {
  if (!operation.metrics || static_cast<std::int64_t>(operation.metrics->epochs.size()) != epochs)
    return false;
  std::int64_t expected = 0;
  for (const api::EpochMetrics& epoch : operation.metrics->epochs) {
    if (epoch.epoch != expected++) return false;
  }
  return true;
}

}  // namespace

std::string essence_of(const nlohmann::json& body) {
  nlohmann::json essence;
  const nlohmann::json& data = body.contains("data") ? body["data"] : body;
  for (const char* name : {"task_id", "seed", "operation_id", "attempt", "resumed_from"}) {
    if (data.contains(name)) essence[name] = data[name];
  }
  return essence.dump();
}

Person::Person(World world, std::string name, std::uint64_t seed)
    : world_(std::move(world)),
      name_(std::move(name)),
      random_(seed),
      way_in_(world_.urls, world_.token),
      thread_([this](std::stop_token stop) { live(stop); }) {}

Person::~Person() = default;

void Person::live(std::stop_token stop) {
  const SystemClock clock;
  while (!stop.stop_requested()) {
    while (busy_ && trainings_.size() < kTrainingsAtATime) trainings_.push_back(new_training());
    for (Training& training : trainings_) look_after(training);
    std::erase_if(trainings_, [](const Training& training) { return training.id.value.empty(); });
    const Duration next_look = clock.monotonic() + kBetweenLooks;
    while (clock.monotonic() < next_look && !stop.stop_requested()) system_test::pause_between_looks();
  }
}

Person::Training Person::new_training() {
  return {.id = {"chaos-" + name_ + "-" + std::to_string(++started_)},
          .recipe = random_() % world_.recipes.size()};
}

std::optional<Reply> Person::ask(const Question& question) {
  auto reply = way_in_.ask(random_() % world_.urls.size(), question);
  if (!reply || reply->is_trouble()) {
    world_.score.add(Count::kUnanswered);
    return std::nullopt;
  }
  return reply;
}

void Person::look_after(Training& training) {
  if (!training.acknowledged) return start(training);
  if (!training.retried_as.empty()) return retry(training);
  const auto reply = ask({"GET", path_of(training.id), "", {}});
  if (!reply) return;
  const auto answer = api::from_json<api::OperationResponse>(reply->body.dump());
  if (!reply->accepted() || !answer.ok()) {
    world_.score.wrong(Count::kOperationsLost, training.id.value + ": " + reply->describe());
    world_.book.close(training.id);
    training.id.value.clear();
    return;
  }
  const api::Operation& operation = answer->data;
  hold_against_what_was_seen(training, operation);
  if (operation.status == api::OperationStatus::kCompleted) return finish(training, operation);
  if (api::is_resumable(operation.status)) {
    if (training.resume_key.empty()) verify_checkpoint(training, operation);
    return resume(training);
  }
  training.resume_key.clear();
  const auto one_in = static_cast<std::uint64_t>(operation.checkpoint ? kCancelOneIn : kCancelWaitingOneIn);
  if (busy_ && random_() % one_in == 0) cancel(training);
}

void Person::start(Training& training) {
  const Recipe& recipe = world_.recipes[training.recipe];
  const OldRequest request{.path = "/trainings/start",
                           .body = api::to_json(api::StartTrainingRequest{
                               .strategy_yaml = recipe.wish.strategy_yaml,
                               .task_id = training.id.value,
                               .data_dir = world_.market,
                               .seed = recipe.wish.seed,
                               .checkpoint_every_epochs = recipe.wish.checkpoint_every_epochs,
                               .checkpoint_every_seconds = recipe.wish.checkpoint_every_seconds}),
                           .key = training.id.value + "-start"};
  const auto reply = ask({"POST", request.path, request.body, with_key(request.key)});
  if (!reply) return;
  if (!reply->accepted()) {
    world_.score.wrong(Count::kStrangeAnswers, "start of " + training.id.value + ": " + reply->describe());
    return;
  }
  training.acknowledged = true;
  world_.score.add(Count::kOperationsAcknowledged);
  world_.book.open(training.id);
  OldRequest old = request;
  old.answer = essence_of(reply->body);
  world_.book.remember(old);
}

// Time goes forward only: for versions, attempts, and checkpoints that were once acknowledged.
void Person::hold_against_what_was_seen(Training& training, const api::Operation& operation) {
  const std::string& id = training.id.value;
  if (operation.version < training.version || operation.attempt < training.attempt) {
    world_.score.wrong(Count::kStrangeAnswers,
                       id + " went back to version " + std::to_string(operation.version));
  }
  training.version = operation.version;
  training.attempt = operation.attempt;
  world_.book.saw_attempt(training.id, operation.attempt);
  if (operation.worker_id && operation.status == api::OperationStatus::kRunning) {
    world_.book.saw_owner({training.id, operation.attempt, *operation.worker_id});
  }
  if (operation.status == api::OperationStatus::kCompleted) return;
  const auto now = operation.checkpoint ? std::optional(operation.checkpoint->ref) : std::nullopt;
  if (training.checkpoint && (!now || now->sequence < training.checkpoint->sequence)) {
    world_.score.wrong(Count::kCheckpointsLost, id + ": " + training.checkpoint->to_string() +
                                                    " was seen, now it is " +
                                                    (now ? now->to_string() : "none"));
  }
  training.checkpoint = now;
}

// Nobody trains it now, so what the row names must be there, whole.
void Person::verify_checkpoint(const Training& training, const api::Operation& operation) {
  if (!operation.checkpoint) return;
  const auto loaded = world_.checkpoints.load(training.id, operation.checkpoint->ref);
  if (loaded.ok() && loaded->manifest_digest() == operation.checkpoint->manifest_digest) {
    world_.score.add(Count::kCheckpointsVerified);
    return;
  }
  // A server may have resumed and completed it meanwhile by itself.
  const auto reply = way_in_.ask(random_() % world_.urls.size(), {"GET", path_of(training.id), "", {}});
  const auto now = reply ? api::from_json<api::OperationResponse>(reply->body.dump())
                         : Result<api::OperationResponse>(Error(ErrorCode::kUnavailable, ""));
  if (!now.ok() || now->data.version != operation.version) return;
  world_.score.wrong(
      Count::kCheckpointsLost,
      training.id.value + ": " + operation.checkpoint->ref.to_string() +
          " is named by the row: " + (loaded.ok() ? "another digest" : loaded.error().describe()));
}

void Person::finish(Training& training, const api::Operation& operation) {
  const Outcome outcome = outcome_of(operation);
  const Outcome& undisturbed = world_.recipes[training.recipe].undisturbed;
  world_.score.add(Count::kOperationsCompleted);
  if (outcome.model_sha256 != undisturbed.model_sha256 || outcome.result != undisturbed.result) {
    world_.score.wrong(Count::kModelsDiffer, training.id.value);
  }
  if (!is_history_whole(operation, undisturbed.epochs) || outcome.metrics != undisturbed.metrics) {
    world_.score.wrong(Count::kHistoriesWrong, training.id.value + ": " + outcome.metrics);
  }
  world_.book.close(training.id);
  training.id.value.clear();
}

void Person::cancel(Training& training) {
  const auto reply = ask({"DELETE", path_of(training.id), R"({"reason":"chaos"})", {}});
  if (!reply) return;
  if (reply->accepted()) world_.score.add(Count::kCancels);
  else if (reply->status != 409) {
    world_.score.wrong(Count::kStrangeAnswers, "cancel of " + training.id.value + ": " + reply->describe());
  }
}

void Person::resume(Training& training) {
  if (training.resume_key.empty())
    training.resume_key = training.id.value + "-resume-" + std::to_string(training.version);
  const OldRequest request{.path = path_of(training.id, "/resume"), .body = "{}", .key = training.resume_key};
  const auto reply = ask({"POST", request.path, request.body, with_key(request.key)});
  if (!reply) return;
  training.resume_key.clear();
  if (reply->accepted()) {
    world_.score.add(Count::kResumes);
    OldRequest old = request;
    old.answer = essence_of(reply->body);
    world_.book.remember(old);
  } else if (reply->code() == "CHECKPOINT_CORRUPTED" ||
             (reply->code() == "CHECKPOINT_NOT_FOUND" && training.checkpoint)) {
    world_.score.wrong(Count::kCheckpointsLost, "resume of " + training.id.value + ": " + reply->describe());
  } else if (reply->code() == "CHECKPOINT_NOT_FOUND") {
    training.retried_as = training.id.value + "-retry";
  } else if (reply->status != 409) {
    world_.score.wrong(Count::kStrangeAnswers, "resume of " + training.id.value + ": " + reply->describe());
  }
}

// It ended before its first checkpoint: the same experiment from its beginning, as another operation.
void Person::retry(Training& training) {
  const auto reply = ask({"POST", path_of(training.id, "/retry"), "", with_key(training.retried_as)});
  if (!reply) return;
  training.retried_as.clear();
  if (!reply->accepted()) {
    world_.score.wrong(Count::kStrangeAnswers, "retry of " + training.id.value + ": " + reply->describe());
    return;
  }
  world_.score.add(Count::kRetries);
  world_.score.add(Count::kOperationsAcknowledged);
  const OperationId again{reply->body["data"].value("operation_id", "")};
  world_.book.open(again);
  world_.book.close(training.id);
  training = {.id = again, .recipe = training.recipe, .acknowledged = true};
}

}  // namespace ktrdr::chaos
