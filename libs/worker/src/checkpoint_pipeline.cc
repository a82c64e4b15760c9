// One checkpoint, step by step; a crash between any two of them leaves the last acknowledged checkpoint
// whole:
//
//   1. the trainer copies its state into the snapshot (training waits only for this);
//   2. the writer writes the object: files, fsync, rename, fsync (FileCheckpointStore); the snapshot is free
//   again;
//   3. the row is committed through the server, naming the last acknowledged checkpoint as the parent (rule
//   4);
//   4. the answer names the rows that were dropped, and only then their files go (rule 10).
//
// While the server is away, step 3 is asked again and again with the same request, because an answer may have
// been lost: the checkpoint in `sending` may be the row's pointer already, so its files stay. Newer
// checkpoints are written meanwhile, but only the newest is kept, in `newest`; nobody has heard of the ones
// in between, so their files can go.
#include "ktrdr/worker/checkpoint_pipeline.h"

#include <algorithm>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
constexpr Duration kLongestBackoff = std::chrono::seconds(2);

// A periodic checkpoint leaves room for what must still be saved on this disk: the last checkpoint, of a
// cancel or a shutdown, and the model, which is a part of it.
Result<void> check_room(const checkpoints::CheckpointStore& store,
                        const checkpoints::CheckpointContent& content) {
  if (content.description.checkpoint_type != api::CheckpointType::kPeriodic) return {};
  constexpr std::uint64_t kForNamesAndManifests = 256 << 10;
  std::uint64_t size = kForNamesAndManifests;
  for (const checkpoints::FileContent& file : content.files) size += file.size();
  const auto free = store.free_bytes();
  if (!free || *free >= 3 * size) return {};
  return Error(ErrorCode::kIo,
               "The disk is nearly full, and what is left is kept for the last checkpoint and the model; "
               "free some space, or a crash costs the work since the checkpoint before.");
}

Error abandoned_error() {
  return {ErrorCode::kStale, "The server gave this operation to another attempt; nothing is saved."};
}

}  // namespace

CheckpointPipeline::CheckpointPipeline(const Clock& clock, checkpoints::CheckpointStore& store,
                                       ServerApi& server, RunReport& report, training::StopSignal& stop,
                                       CheckpointLineage lineage)
    : clock_(clock),
      store_(store),
      server_(server),
      report_(report),
      stop_(stop),
      lineage_(std::move(lineage)),
      state_(State{.acknowledged = lineage_.acknowledged, .next_sequence = lineage_.next_sequence}),
      backoff_(kFirstBackoff) {}

// ---- the trainer's side ----

CheckpointRef CheckpointPipeline::enqueue(const training::TrainingSnapshot& snapshot,
                                          api::CheckpointType type) {
  CheckpointRef ref;
  state_.update([&](State& state) {
    CHECK(!state.job, "the trainer saves only when the writer is idle");
    ref = {lineage_.attempt, state.next_sequence++};
    state.failed.clear();  // nobody asks for an earlier one any more
    state.job = Job{&snapshot, type, ref, clock_.monotonic()};
  });
  return ref;
}

bool CheckpointPipeline::State::is_settled(CheckpointRef ref) const {
  return abandoned || failed.contains(ref) || (acknowledged && *acknowledged >= ref);
}

std::optional<Result<void>> CheckpointPipeline::outcome(CheckpointRef ref) const {
  auto state = state_.lock();
  if (state->abandoned) return abandoned_error();
  if (const auto failure = state->failed.find(ref); failure != state->failed.end()) return failure->second;
  if (state->is_settled(ref)) return Result<void>();
  if (state->give_up && clock_.monotonic() >= *state->give_up && !state->job) {
    return Error(ErrorCode::kUnavailable, "The server did not acknowledge the checkpoint in time.");
  }
  return std::nullopt;
}

// ---- anybody ----

void CheckpointPipeline::abandon() {
  state_.update([](State& state) { state.abandoned = true; });
}

void CheckpointPipeline::give_up_at(Duration moment) {
  state_.update([&](State& state) { state.give_up = moment; });
}

void CheckpointPipeline::close() {
  state_.update([](State& state) { state.closed = true; });
}

// ---- the writer's side ----

void CheckpointPipeline::step() {
  if (const std::optional<Job> job = state_.lock()->job) write(*job);
  commit_once();
}

void CheckpointPipeline::write(const Job& job) {
  const training::Position& at = job.snapshot->position;
  checkpoints::CheckpointContent content;
  content.description = checkpoints::CheckpointDescription{.operation = lineage_.operation,
                                                           .ref = job.ref,
                                                           .parent = acknowledged(),
                                                           .checkpoint_type = job.type,
                                                           .epoch = at.epoch(),
                                                           .start_epoch = at.start_epoch,
                                                           .start_batch = at.start_batch,
                                                           .global_step = job.snapshot->global_step,
                                                           .identity = identity_};
  auto stored = [&]() -> Result<checkpoints::StoredCheckpoint> {
    TRY_ASSIGN(content.files, training::snapshot_files(*job.snapshot));
    content.files.push_back(
        checkpoints::text_file(std::string(checkpoints::kStrategyFile), lineage_.strategy_yaml));
    TRY(check_room(store_, content));
    return store_.put(content);
  }();
  if (stored.ok()) {
    api::CheckpointInfo info{.ref = job.ref,
                             .checkpoint_type = job.type,
                             .start_epoch = at.start_epoch,
                             .start_batch = at.start_batch,
                             .global_step = job.snapshot->global_step,
                             .size_bytes = static_cast<std::int64_t>(stored->total_bytes),
                             .manifest_digest = stored->manifest_digest};
    if (at.epoch() >= 0) info.epoch = at.epoch();
    hold({.commit = {.attempt = lineage_.attempt,
                     .worker_id = lineage_.worker.value,
                     .checkpoint = std::move(info)},
          .taken_at = job.taken_at});
  } else {
    fail(job.ref, std::move(stored).error().while_doing("saving checkpoint " + job.ref.to_string()));
  }
  state_.update([](State& state) { state.job.reset(); });  // the trainer has its snapshot back
}

// The newest checkpoint replaces one that nobody has heard of.
void CheckpointPipeline::hold(Written written) {
  std::optional<Written> replaced;
  state_.update([&](State& state) { replaced = std::exchange(state.newest, std::move(written)); });
  if (!replaced) return;
  report_.on_superseded();
  remove(replaced->commit.checkpoint.ref);
}

void CheckpointPipeline::commit_once() {
  std::optional<api::CommitCheckpointRequest> request;
  state_.update([&](State& state) {
    if (state.abandoned) return;
    if (!state.sending) {
      state.sending = std::exchange(state.newest, std::nullopt);
      if (state.sending) state.sending->commit.checkpoint.parent = state.acknowledged;
    }
    if (!state.sending) return;
    request = state.sending->commit;
    request->taken_ms_ago = (clock_.monotonic() - state.sending->taken_at).count();
  });
  if (!request) return;
  const auto answer = server_.commit_checkpoint(lineage_.operation, *request);
  if (answer.ok()) {
    backoff_ = kFirstBackoff;
    acknowledge(*answer);
  } else if (may_be_answered_later(answer.error())) {
    backoff_ = std::min(backoff_ * 2, kLongestBackoff);
  } else {
    refuse(answer.error());
  }
}

void CheckpointPipeline::acknowledge(const api::CommitCheckpointAnswer& answer) {
  const Written saved = *state_.lock()->sending;  // only this thread changes it
  succeed(saved);
  state_.update([&](State& state) {
    state.acknowledged = saved.commit.checkpoint.ref;
    state.sending.reset();
  });
  for (const CheckpointRef dropped : answer.dropped) remove(dropped);
}

// A refusal is final. kStale means that somebody else owns the operation; our object then stays for the
// sweep, because the refusal may be the answer to a repeat of a commit that counted once.
void CheckpointPipeline::refuse(const Error& error) {
  if (error.code == ErrorCode::kStale) stop_.request(training::StopRequest::kAbandon);
  CheckpointRef refused;
  state_.update([&](State& state) {
    refused = state.sending->commit.checkpoint.ref;
    state.sending.reset();
    state.abandoned = state.abandoned || error.code == ErrorCode::kStale;
  });
  fail(refused, error);
}

// Never silent, and never a flood: the log has every failure, the counts have their number, and the
// operation's warnings have what a person should read. Nothing is carried over into the next save: like every
// save it is a full one. A refusal because somebody else owns the operation is no failure of saving.
void CheckpointPipeline::fail(CheckpointRef ref, Error error) {
  log(LogLevel::kWarning, "a checkpoint was not saved",
      {{"operation", lineage_.operation.value},
       {"attempt", std::to_string(lineage_.attempt)},
       {"worker", lineage_.worker.value},
       {"checkpoint", ref.to_string()},
       {"error", error.describe()}});
  if (error.code != ErrorCode::kStale) {
    report_.on_save_failed();
    if (auto warning = failures_.failed(ref, error.message)) report_.warn(*std::move(warning));
  }
  state_.update([&](State& state) { state.failed.emplace(ref, std::move(error)); });
}

void CheckpointPipeline::succeed(const Written& written) {
  const api::CheckpointInfo& saved = written.commit.checkpoint;
  report_.on_saved(saved.size_bytes, written.taken_at);
  auto news = failures_.saved(saved.ref);
  log(news ? LogLevel::kInfo : LogLevel::kDebug, "checkpoint saved",
      {{"operation", lineage_.operation.value},
       {"attempt", std::to_string(lineage_.attempt)},
       {"worker", lineage_.worker.value},
       {"checkpoint", saved.ref.to_string()},
       {"bytes", std::to_string(saved.size_bytes)}});
  if (news) report_.warn(*std::move(news));
}

void CheckpointPipeline::remove(CheckpointRef ref) {
  if (const auto removed = store_.remove(lineage_.operation, ref); !removed.ok()) {
    log(LogLevel::kWarning, "a checkpoint's files are left for the sweep",
        {{"operation", lineage_.operation.value},
         {"checkpoint", ref.to_string()},
         {"error", removed.error().describe()}});
  }
}

}  // namespace ktrdr::worker
