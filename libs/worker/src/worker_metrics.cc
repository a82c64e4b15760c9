#include "ktrdr/worker/worker_metrics.h"

#include <algorithm>
#include <utility>

namespace ktrdr::worker {
namespace {

double seconds(std::chrono::duration<double> duration) { return duration.count(); }

bool is_training(api::Phase phase) {
  return phase == api::Phase::kTraining || phase == api::Phase::kValidating;
}

metrics::Counter saves(metrics::Registry& registry, const char* outcome) {
  return registry.counter({"ktrdr_checkpoint_saves_total", "Checkpoints by how saving them ended."},
                          {{"outcome", outcome}});
}

metrics::Counter ended(metrics::Registry& registry, const char* outcome) {
  return registry.counter({"ktrdr_attempts_ended_total", "Attempts of this process by how they ended."},
                          {{"outcome", outcome}});
}

// Where it begins: what is told in these phases, earlier attempts did.
bool is_beginning(api::Phase phase) {
  return phase == api::Phase::kPreparing || phase == api::Phase::kRestoring;
}

// What the numbers of a run grew by since they were told last; the first time they are only noted.
double growth(std::optional<std::int64_t>& told, std::int64_t now) {
  const std::int64_t before = std::exchange(told, now).value_or(now);
  return static_cast<double>(std::max<std::int64_t>(0, now - before));
}

}  // namespace

WorkerMetrics::Ends::Ends(metrics::Registry& registry)
    : completed(ended(registry, "completed")),
      failed(ended(registry, "failed")),
      cancelled(ended(registry, "cancelled")),
      handed_back(ended(registry, "handed_back")),
      refused(ended(registry, "refused")),
      unheard(ended(registry, "unheard")) {}

metrics::Counter& WorkerMetrics::Ends::of(AttemptEnd end) {
  switch (end) {
    case AttemptEnd::kCompleted: return completed;
    case AttemptEnd::kFailed: return failed;
    case AttemptEnd::kCancelled: return cancelled;
    case AttemptEnd::kHandedBack: return handed_back;
    case AttemptEnd::kRefused: return refused;
    case AttemptEnd::kUnheard: break;
  }
  return unheard;
}

WorkerMetrics::WorkerMetrics(const Clock& clock, Stopwatch stopwatch, metrics::Registry& registry)
    : clock_(clock),
      stopwatch_(std::move(stopwatch)),
      active_(registry.gauge({"ktrdr_training_active", "1 while an attempt is in progress."})),
      training_seconds_(
          registry.counter({"ktrdr_training_seconds_total", "Time spent training and validating."})),
      samples_(registry.counter({"ktrdr_training_samples_total", "Rows trained on, each once an epoch."})),
      batches_(registry.counter({"ktrdr_training_batches_total", "Batches trained."})),
      epochs_(registry.counter({"ktrdr_training_epochs_total", "Epochs completed."})),
      ends_(registry),
      committed_(saves(registry, "committed")),
      failed_(saves(registry, "failed")),
      superseded_(saves(registry, "superseded")),
      bytes_(registry.counter({"ktrdr_checkpoint_bytes_total", "Bytes of committed checkpoints."})),
      pause_(registry.histogram(
          {"ktrdr_checkpoint_pause_seconds", "How long training stood still for a checkpoint."},
          {1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
           1})),
      commit_(registry.histogram(
          {"ktrdr_checkpoint_commit_seconds", "From the copy of the state to the server's acknowledgement."},
          {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600})),
      checkpoint_age_(registry.gauge({"ktrdr_checkpoint_age_seconds",
                                      "Work that a crash would cost now; 0 while nothing is trained."})) {
  registry.before_each_scrape([this] { bring_up_to_date(); });
}

// ---- an attempt ----

void WorkerMetrics::on_begin() {
  const Duration now = clock_.monotonic();
  *attempt_.lock() = {.is_active = true, .counted_until = now, .safe_until = now};
}

void WorkerMetrics::on_progress(const api::Progress& progress, api::Phase phase) {
  auto attempt = attempt_.lock();
  count_training(*attempt);
  attempt->trains = is_training(phase);
  if (is_beginning(phase)) attempt->samples = attempt->batches = std::nullopt;
  samples_.add(growth(attempt->samples, progress.items_processed));
  batches_.add(growth(attempt->batches, progress.steps_completed));
}

void WorkerMetrics::on_epoch(const api::EpochMetrics&) { epochs_.add(); }

void WorkerMetrics::on_end(AttemptEnd end) {
  ends_.of(end).add();
  auto attempt = attempt_.lock();
  count_training(*attempt);
  *attempt = {};
}

void WorkerMetrics::count_training(Attempt& attempt) {
  const Duration now = clock_.monotonic();
  if (attempt.trains) training_seconds_.add(seconds(now - attempt.counted_until));
  attempt.counted_until = now;
}

// ---- its checkpoints ----

void WorkerMetrics::on_checkpoint_begins() { attempt_.lock()->stands_since = stopwatch_(); }

void WorkerMetrics::on_checkpoint_pause(Duration) {
  pause_.observe(seconds(stopwatch_() - attempt_.lock()->stands_since));
}

void WorkerMetrics::on_saved(std::int64_t bytes, Duration taken_at) {
  committed_.add();
  bytes_.add(static_cast<double>(bytes));
  commit_.observe(seconds(clock_.monotonic() - taken_at));
  auto attempt = attempt_.lock();
  attempt->safe_until = std::max(attempt->safe_until, taken_at);
}

void WorkerMetrics::on_save_failed() { failed_.add(); }

void WorkerMetrics::on_superseded() { superseded_.add(); }

// ---- a scrape ----

void WorkerMetrics::bring_up_to_date() {
  auto attempt = attempt_.lock();
  count_training(*attempt);
  active_.set(attempt->is_active ? 1 : 0);
  checkpoint_age_.set(attempt->is_active ? seconds(clock_.monotonic() - attempt->safe_until) : 0);
}

}  // namespace ktrdr::worker
