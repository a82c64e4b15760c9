#include "run_report.h"

#include <algorithm>

#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

constexpr std::size_t kMostEpochsAtOnce = 1000;
constexpr std::size_t kMostWarningsAtOnce = 100;

template <class T>
void remove_front(std::vector<T>& list, const std::vector<T>& sent) {
  // New entries are appended only, so what was sent is still the beginning.
  list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(std::min(sent.size(), list.size())));
}

}  // namespace

void RunReport::on_progress(const api::Progress& progress, api::Phase phase) {
  auto state = state_.lock();
  state->progress = progress;
  state->phase = phase;
}

void RunReport::on_epoch(const api::EpochMetrics& metrics) { state_.lock()->epochs.push_back(metrics); }

// The rows that an earlier process could not send any more are sent now; the store replaces what it has.
void RunReport::on_history_restored(const std::vector<api::EpochMetrics>& history) {
  auto state = state_.lock();
  state->epochs.insert(state->epochs.end(), history.begin(), history.end());
}

void RunReport::set_phase(api::Phase phase) { state_.lock()->phase = phase; }

void RunReport::warn(std::string warning) {
  log(LogLevel::kWarning, warning);
  state_.lock()->warnings.push_back(std::move(warning));
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
  remove_front(state->epochs, sent.epochs);
  remove_front(state->warnings, sent.warnings);
}

}  // namespace ktrdr::worker
