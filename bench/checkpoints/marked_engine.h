// An engine that notes when each batch begins: by the clock, and in the processor time of the thread that
// trains, in seconds.
#pragma once

#include <time.h>

#include <vector>

#include "../figures.h"
#include "ktrdr/training/engine.h"

namespace ktrdr::bench {

struct Moment {
  double clock = 0, processor = 0;
};

inline double seconds_of(Stopwatch::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

// In nanoseconds, where getrusage() may count in ticks of 4 ms.
inline Moment this_moment() {
  timespec time{};
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, "every thread has a clock of its processor time");
  return {seconds_of(Stopwatch::now()),
          static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec)};
}

class MarkedEngine final : public training::Engine {
 public:
  explicit MarkedEngine(training::Engine& engine) : engine_(engine) {}
  const std::vector<Moment>& batches() const { return batches_; }

  Result<training::LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t global_step,
                                         double learning_rate) override {
    batches_.push_back(this_moment());
    return engine_.train_batch(rows, global_step, learning_rate);
  }

  const training::EngineIdentity& identity() const override { return engine_.identity(); }
  std::int64_t parameter_count() const override { return engine_.parameter_count(); }
  Result<training::LossSums> evaluate(strategy::RowRange rows,
                                      std::vector<std::int64_t>* predictions) override {
    return engine_.evaluate(rows, predictions);
  }
  void snapshot_model(checkpoints::TensorMap& into) const override { engine_.snapshot_model(into); }
  void snapshot_optimizer(checkpoints::TensorMap& into) const override { engine_.snapshot_optimizer(into); }
  Result<void> restore_model(std::span<const checkpoints::TensorView> from) override {
    return engine_.restore_model(from);
  }
  Result<void> restore_optimizer(std::span<const checkpoints::TensorView> from) override {
    return engine_.restore_optimizer(from);
  }

 private:
  training::Engine& engine_;
  std::vector<Moment> batches_;
};

}  // namespace ktrdr::bench
