#include "ktrdr/worker/run_report.h"

#include <algorithm>

namespace ktrdr::worker {
namespace {

constexpr std::size_t kMostEpochsAtOnce = 1000;
constexpr std::size_t kMostWarningsAtOnce = 100;

double seconds(std::chrono::duration<double> duration) { return duration.count(); }

// `list` begins after the first `before` of all lines, `sent` after the first `sent_before`. New lines are
// appended only.
template <class T>
void remove_sent(std::vector<T>& list, std::size_t& before, const std::vector<T>& sent,
                 std::size_t sent_before) {
  const std::size_t end = sent_before + sent.size();
  if (end <= before) return;
  list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(end - before));
  before = end;
}

}  // namespace

RunObserver& nobody() {
  static RunObserver observer;
  return observer;
}

void RunReport::on_progress(const api::Progress& progress, api::Phase phase) {
  also_.on_progress(progress, phase);
  auto state = state_.lock();
  state->progress = progress;
  state->phase = phase;
}

void RunReport::on_epoch(const api::EpochMetrics& metrics) {
  also_.on_epoch(metrics);
  state_.lock()->epochs.push_back(metrics);
}

// The rows that an earlier process could not send any more are sent now; the store replaces what it has.
void RunReport::on_history_restored(const std::vector<api::EpochMetrics>& history) {
  also_.on_history_restored(history);
  auto state = state_.lock();
  state->epochs.insert(state->epochs.end(), history.begin(), history.end());
}

void RunReport::set_phase(api::Phase phase) { state_.lock()->phase = phase; }

void RunReport::warn(std::string warning) { state_.lock()->warnings.push_back(std::move(warning)); }

void RunReport::on_checkpoint_pause(Duration pause) {
  also_.on_checkpoint_pause(pause);
  state_.lock()->checkpoint_counts.pause_seconds += seconds(pause);
}

void RunReport::count_processor_time(std::chrono::nanoseconds used) {
  state_.lock()->checkpoint_counts.processor_seconds += seconds(used);
}

void RunReport::on_saved(std::int64_t bytes, Duration taken_at) {
  also_.on_saved(bytes, taken_at);
  auto state = state_.lock();
  state->checkpoint_counts.saved += 1;
  state->checkpoint_counts.bytes_saved += bytes;
}

void RunReport::on_save_failed() {
  also_.on_save_failed();
  state_.lock()->checkpoint_counts.failed += 1;
}

// A bounded piece from the front: what a request can carry, however long the server was away.
RunReport::Unsent RunReport::unsent() {
  Unsent copy = *state_.lock();
  copy.epochs.resize(std::min(copy.epochs.size(), kMostEpochsAtOnce));
  copy.warnings.resize(std::min(copy.warnings.size(), kMostWarningsAtOnce));
  return copy;
}

bool RunReport::is_all_sent() {
  const auto state = *state_.lock();
  return state.epochs.empty() && state.warnings.empty();
}

void RunReport::acknowledge(const Unsent& sent) {
  auto state = state_.lock();
  remove_sent(state->epochs, state->epochs_before, sent.epochs, sent.epochs_before);
  remove_sent(state->warnings, state->warnings_before, sent.warnings, sent.warnings_before);
}

}  // namespace ktrdr::worker
