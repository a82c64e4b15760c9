#include "station.h"

#include <set>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/services/checkpoint_sweeper.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/worker/checkpoint_pipeline.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker::testing {
namespace fs = std::filesystem;
namespace {

const std::string kStrategy = "name: sample\n";

// Keeps what a worker would train on from.
class TakenOver final : public Run {
 public:
  explicit TakenOver(const Assignment& assignment) : operation_(assignment.operation) {}
  const OperationId& operation() const override { return operation_; }
  void look_for_cancel() override {}
  void shut_down(Duration, Duration) override {}
  bool ended() const override { return true; }
  bool wait_until_ended(Duration) override { return true; }

 private:
  const OperationId operation_;
};

std::vector<checkpoints::FileContent> model_files(const training::TrainingSnapshot& snapshot) {
  return {checkpoints::tensor_file(std::string(checkpoints::kModelFile), snapshot.model).value(),
          checkpoints::text_file("features.json", "{}\n")};
}

const training::TrainingSnapshot& final_snapshot() {
  static const training::TrainingSnapshot snapshot = sample_snapshot(1'000);
  return snapshot;
}

std::string final_sha256() {
  Sha256 digest;
  const std::vector<checkpoints::FileContent> files = model_files(final_snapshot());
  for (const auto piece : files.front().pieces()) digest.update(piece);
  return digest.hex();
}

// A worker would go on asking until its server is well again; here there is nobody else to make it so.
template <class Value>
Result<Value> final_answer(Result<Value> answer) {
  if (answer.ok() || !may_be_answered_later(answer.error())) return answer;
  return Error(ErrorCode::kConflict, answer.error().describe());
}

std::string told(std::string_view what, const Error& error) {
  return std::string(what) + ": " + error.describe();
}

}  // namespace

training::TrainingSnapshot sample_snapshot(std::int64_t seed) {
  training::TrainingSnapshot snapshot;
  const auto base = static_cast<float>(seed);
  snapshot.model.put_f32("0.weight", std::vector<float>{base, -base, 0.5F, -0.0F});
  snapshot.model.put_f32("0.bias", std::vector<float>{base * 2, 1});
  snapshot.optimizer.put_f32("exp_avg.0.weight", std::vector<float>(4, base / 3));
  snapshot.optimizer.put_scalar("step", seed);
  snapshot.best_model = std::make_shared<const checkpoints::TensorMap>(snapshot.model);
  training::TrainerState state;
  state.seed = 7;
  state.position = {.start_epoch = 1, .start_batch = seed};
  state.global_step = 100 + seed;
  state.best = {.epoch = 0, .validation_loss = 0.25};
  state.history.push_back({.epoch = 0, .train_loss = 0.5, .val_loss = 0.25, .learning_rate = 0.001});
  training::write_trainer_state(state, snapshot.trainer);
  snapshot.position = state.position;
  snapshot.global_step = state.global_step;
  return snapshot;
}

bool holds_sample(const training::TrainingResumeContext& context, std::int64_t seed) {
  const training::TrainingSnapshot sample = sample_snapshot(seed);
  checkpoints::TensorMap trainer;
  training::write_trainer_state(context.trainer_state, trainer);
  const auto holds = [](const std::vector<checkpoints::TensorView>& views,
                        const checkpoints::TensorMap& tensors) {
    return checkpoints::to_tensor_map(views) == tensors;
  };
  return holds(context.model_weights, sample.model) && holds(context.optimizer_state, sample.optimizer) &&
         context.best_model_weights && holds(*context.best_model_weights, *sample.best_model) &&
         trainer == sample.trainer && context.strategy_yaml == kStrategy;
}

const OperationId& Station::operation() {
  static const OperationId id{"op_training_1"};
  return id;
}

Result<std::unique_ptr<Station>> Station::open(const fs::path& folder, std::uint64_t reserve_bytes) {
  TRY(create_folders_durably(folder));
  TRY_ASSIGN(auto objects, checkpoints::FileCheckpointStore::open(folder / "checkpoints"));
  TRY_ASSIGN(auto models, checkpoints::ModelStore::open(folder / "models"));
  std::unique_ptr<Station> station(new Station(folder, std::move(objects), std::move(models)));
  TRY_ASSIGN(station->rows_,
             storage::open_sqlite_repository(folder / "ktrdr.db", station->clock_, reserve_bytes));
  return station;
}

// ---- the life of one training ----

Result<void> Station::begin() {
  storage::NewOperation row{.id = operation()};
  row.request.strategy_yaml = kStrategy;
  TRY(rows_->create(row, std::nullopt));
  TRY(rows_->claim(operation(), {1, {"worker-1"}}, "desk"));
  return {};
}

Result<storage::Fence> Station::fence() {
  TRY_ASSIGN(const api::Operation row, rows_->get(operation()));
  return storage::Fence{row.attempt, {row.worker_id.value_or("")}};
}

Result<CheckpointRef> Station::save(api::CheckpointType type) {
  TRY_ASSIGN(const storage::Fence owner, fence());
  TRY_ASSIGN(const storage::Claimed claimed,
             rows_->claim(operation(), owner, "desk"));  // the same answer again
  RunReport report;
  training::StopSignal stop;
  CheckpointPipeline pipeline(clock_, objects_, *this, report, stop,
                              {.operation = operation(),
                               .attempt = owner.attempt,
                               .worker = owner.worker,
                               .acknowledged = claimed.current_checkpoint,
                               .next_sequence = claimed.next_sequence,
                               .strategy_yaml = kStrategy});
  const training::TrainingSnapshot snapshot = sample_snapshot(claimed.next_sequence);
  const CheckpointRef ref = pipeline.enqueue(snapshot, type);
  pipeline.step();
  const auto warned = report.unsent().warnings;
  warnings_.insert(warnings_.end(), warned.begin(), warned.end());
  const auto outcome = pipeline.outcome(ref);
  if (!outcome) return Error(ErrorCode::kIo, "The database did not take the checkpoint.");
  if (!outcome->ok()) return outcome->error();
  return ref;
}

Result<void> Station::finish() {
  TRY_ASSIGN(const storage::Fence owner, fence());
  TRY_ASSIGN(const auto published,
             models_.publish(operation(), owner.attempt, model_files(final_snapshot())));
  TRY(complete(operation(), {.attempt = owner.attempt,
                             .worker_id = owner.worker.value,
                             .model_path = published.path.string(),
                             .model_sha256 = published.model_sha256,
                             .result = {"{}"}}));
  return {};
}

Result<void> Station::stop() {
  TRY_ASSIGN(const storage::Fence owner, fence());
  TRY(stopped(operation(), {.attempt = owner.attempt, .worker_id = owner.worker.value}));
  return {};
}

Result<void> Station::hand_over() {
  TRY_ASSIGN(const storage::Fence owner, fence());
  TRY(rows_->fail(operation(), owner, "its worker is gone"));
  TRY(rows_->try_resume(operation(), false, {}, std::nullopt));
  return {};
}

Result<CheckpointRef> Station::restore() {
  std::optional<Assignment> taken;
  TrainingWorker worker(clock_, *this, objects_, {{"worker-2"}, "desk"}, [&](Assignment assignment) {
    taken = std::move(assignment);
    return std::make_shared<TakenOver>(*taken);
  });
  TRY(worker.resume({.operation_id = operation().value}));
  if (!taken->current_checkpoint || !taken->resume ||
      !holds_sample(*taken->resume, taken->current_checkpoint->sequence)) {
    return Error(ErrorCode::kInternal, "It goes on from something else than it was told.");
  }
  return *taken->current_checkpoint;
}

Result<void> Station::remove() {
  services::CheckpointService service(clock_, *rows_, objects_);
  TRY(service.remove(operation(), {}));
  return {};
}

Result<void> Station::sweep() {
  services::CheckpointSweeper sweeper(*rows_, objects_);
  TRY(sweeper.sweep());
  return {};
}

// ---- what must hold ----

std::string Station::problem(const Promised& promised) {
  const auto row = rows_->get(operation());
  if (!row.ok()) {
    const bool never = row.error().code == ErrorCode::kNotFound && !promised.created;
    return never ? "" : told("the operation", row.error());
  }
  if (row->status == api::OperationStatus::kCompleted) return problem_of_model(*row);
  if (promised.finished) return "it was completed, and is not";
  return problem_of_rows(promised);
}

std::string Station::problem_of_model(const api::Operation& row) const {
  const fs::path file = folder_ / "models" / operation().value / std::to_string(row.attempt) /
                        std::string(checkpoints::kModelFile);
  const auto sha256 = sha256_of_file(file);
  if (!sha256.ok()) return told("the model", sha256.error());
  return *sha256 == final_sha256() ? "" : "the model is not the one that was published";
}

std::string Station::problem_of_rows(const Promised& promised) {
  const auto rows = rows_->checkpoints(operation());
  if (!rows.ok()) return told("the rows", rows.error());
  if (promised.removed) return rows->empty() ? "" : "what was removed is there";
  if (promised.saved && (rows->empty() || rows->front().ref < *promised.saved)) {
    return "checkpoint " + promised.saved->to_string() + " was acknowledged, and no row names it";
  }
  for (const api::CheckpointInfo& row : *rows) {
    const auto context = training::restore_from_checkpoint(objects_, operation(), row.ref);
    if (!context.ok()) return told("checkpoint " + row.ref.to_string(), context.error());
    if (!holds_sample(*context, row.ref.sequence)) return row.ref.to_string() + " holds something else";
  }
  return "";
}

std::string Station::problem_going_on() {
  const auto row = rows_->get(operation());
  const bool resumable =
      row.ok() && row->checkpoint &&
      (row->status == api::OperationStatus::kRunning || row->status == api::OperationStatus::kCancelled);
  if (resumable) {
    const bool waits = row->status == api::OperationStatus::kRunning && !row->worker_id;
    const bool ended = row->status == api::OperationStatus::kCancelled;
    const auto resumed = waits ? Result<void>() : ended ? [&]() -> Result<void> {
      TRY(rows_->try_resume(operation(), false, {}, std::nullopt));
      return {};
    }()
        : hand_over();
    if (!resumed.ok()) return told("resuming", resumed.error());
    if (const auto restored = restore(); !restored.ok()) return told("restoring", restored.error());
    if (const auto saved = save(); !saved.ok()) return told("saving", saved.error());
    if (const auto finished = finish(); !finished.ok()) return told("finishing", finished.error());
  }
  if (const auto swept = sweep(); !swept.ok()) return told("sweeping", swept.error());
  return row.ok() ? leftovers() : "";
}

// What lies in the folder and no row names.
std::string Station::leftovers() {
  const auto keep = rows_->keep(operation());
  if (!keep.ok()) return told("the rows to keep", keep.error());
  std::set<std::string> named;
  for (const CheckpointRef ref : keep->refs) named.insert(ref.to_string());
  const fs::path folder = folder_ / "checkpoints" / operation().value;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    const auto ref = CheckpointRef::parse(name.substr(0, name.find('.')));
    const bool in_use = keep->whole_attempt && ref && ref->attempt >= *keep->whole_attempt;
    if (!named.contains(name) && !in_use) return name + " is left";
  }
  return "";
}

// ---- ServerApi: what the server does with the repository, without the way there ----

Result<api::TrainingJob> Station::job(const OperationId& id) { return final_answer(rows_->job(id)); }

Result<api::ClaimAnswer> Station::claim(const OperationId& id, const api::ClaimRequest& request) {
  TRY_ASSIGN(const storage::Claimed claimed,
             final_answer(rows_->claim(id, {request.attempt, {request.worker_id}}, request.worker_name)));
  return api::ClaimAnswer{.current_checkpoint = claimed.current_checkpoint,
                          .next_sequence = claimed.next_sequence};
}

Result<api::HeartbeatAnswer> Station::heartbeat(const OperationId& id, const api::HeartbeatRequest& request) {
  TRY_ASSIGN(const storage::HeartbeatOutcome outcome, rows_->heartbeat(id, request));
  return api::HeartbeatAnswer{.cancel = outcome.cancel_requested};
}

Result<api::CommitCheckpointAnswer> Station::commit_checkpoint(const OperationId& id,
                                                               const api::CommitCheckpointRequest& request) {
  TRY_ASSIGN(const storage::Committed committed,
             rows_->commit_checkpoint(id, {request.attempt, {request.worker_id}}, request.checkpoint));
  return api::CommitCheckpointAnswer{.dropped = committed.dropped};
}

Result<api::CommitCheckpointAnswer> Station::rewind(const OperationId& id,
                                                    const api::RewindRequest& request) {
  TRY_ASSIGN(const storage::Committed committed,
             final_answer(rows_->rewind(id, {request.attempt, {request.worker_id}}, request)));
  return api::CommitCheckpointAnswer{.dropped = committed.dropped};
}

// The row first, the files after (rule 12); files that stay are left to the sweep.
Result<api::AppliedAnswer> Station::complete(const OperationId& id, const api::CompleteRequest& request) {
  TRY_ASSIGN(const storage::Completed completed, rows_->complete(id, request));
  for (const CheckpointRef ref : completed.dropped) static_cast<void>(objects_.remove(id, ref).ok());
  return api::AppliedAnswer{};
}

Result<api::AppliedAnswer> Station::fail(const OperationId& id, const api::FailRequest& request) {
  TRY(rows_->fail(id, {request.attempt, {request.worker_id}}, request.error_message));
  return api::AppliedAnswer{};
}

Result<api::AppliedAnswer> Station::stopped(const OperationId& id, const api::StoppedRequest& request) {
  TRY(rows_->stopped(id, request));
  return api::AppliedAnswer{};
}

}  // namespace ktrdr::worker::testing
