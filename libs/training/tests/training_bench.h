// A run in a bottle: the example training on the fake engine, which can be stopped after any call of the
// engine.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/training/model_trainer.h"
#include "ktrdr/training/testing/example_training.h"
#include "ktrdr/training/testing/fake_engine.h"
#include "ktrdr/training/testing/memory_checkpoint_sink.h"
#include "ktrdr/training/testing/recording_observer.h"

namespace ktrdr::training::testing {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::ManualClock;
using ktrdr::testing::SaysError;

// One call of train_batch().
struct Step {
  std::vector<std::int64_t> rows;
  std::int64_t global_step = 0;
  double learning_rate = 0;
  bool operator==(const Step&) const = default;
};

// Passes everything on, writes the steps down and calls `after_call` after each call that computes.
class WatchedEngine final : public Engine {
 public:
  explicit WatchedEngine(Engine& engine) : engine_(engine) {}

  std::vector<Step> steps;
  std::int64_t calls = 0;          // of train_batch() and evaluate()
  std::int64_t fail_at_call = -1;  // an evaluate()
  std::function<void()> after_call = [] {};
  std::function<void(LossSums&)> change_evaluation = [](LossSums&) {};

  const EngineIdentity& identity() const override { return engine_.identity(); }
  std::int64_t parameter_count() const override { return engine_.parameter_count(); }
  Result<LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t step, double rate) override {
    steps.push_back({{rows.begin(), rows.end()}, step, rate});
    auto sums = engine_.train_batch(rows, step, rate);
    ++calls;
    after_call();
    return sums;
  }
  Result<LossSums> evaluate(strategy::RowRange rows, std::vector<std::int64_t>* predictions) override {
    auto sums = engine_.evaluate(rows, predictions);
    if (sums.ok()) change_evaluation(*sums);
    ++calls;
    after_call();
    if (calls == fail_at_call) return Error(ErrorCode::kIo, "The machine is on fire.");
    return sums;
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
  Engine& engine_;
};

// All the bits a run ends with.
struct Ending {
  checkpoints::TensorMap model, optimizer, trainer;
  api::TrainingMetrics metrics;
  api::TestReport report;
  bool operator==(const Ending&) const = default;
};

// One process that trains.
struct Process {
  std::optional<Result<TrainingOutcome>> outcome;
  TrainerState state;
  Ending ending;
  std::vector<Step> steps;
  std::int64_t calls = 0;
  RecordingObserver observer;
  MemoryCheckpointSink sink;

  bool completed() const { return outcome->ok() && (*outcome)->kind == TrainingOutcome::Kind::kCompleted; }
  const TrainingSnapshot& last_saved() const { return sink.saved.back().snapshot; }
};

class TrainingBench : public ::testing::Test {
 protected:
  TrainingBench() {
    options_.seed = 42;
    options_.validation_chunk_rows = 5;
    options_.checkpoints = {.every_epochs = 0, .every = Duration(0)};
  }

  // Trains in a "process" of its own: a new engine, which knows nothing but what it is given. `stop` is
  // requested after the given number of the engine's calls; -1: never.
  Process run(std::optional<TrainingResumeContext> resume = std::nullopt, std::int64_t stop_after = -1,
              StopRequest request = StopRequest::kCancel) {
    Process process;
    prepare_sink_(process.sink);
    auto engine = FakeEngineFactory().create(strategy_, dataset_, options_.seed);
    WatchedEngine watched(**engine);
    StopSignal stop;
    if (stop_after == 0) stop.request(request);
    watched.fail_at_call = fail_at_call_;
    watched.change_evaluation = change_evaluation_;
    watched.after_call = [&] {
      if (watched.calls == stop_after) stop.request(request);
      clock_.advance(each_call_takes_);
      after_call_(process);
    };
    ModelTrainer trainer(clock_, watched, strategy_, dataset_, process.sink, process.observer, options_,
                         std::move(resume));
    process.outcome.emplace(trainer.train(stop));
    process.state = trainer.state();
    process.steps = watched.steps;
    process.calls = watched.calls;
    if (process.completed()) {
      const TrainingOutcome& outcome = **process.outcome;
      process.ending = {.model = outcome.model, .metrics = outcome.metrics, .report = outcome.report};
      watched.snapshot_optimizer(process.ending.optimizer);
      write_trainer_state(process.state, process.ending.trainer);
    }
    return process;
  }

  TrainingResumeContext context_of(const Process& stopped) {
    auto context = resume_context(stopped.last_saved());
    EXPECT_THAT(context, IsOk());
    return std::move(context).value();
  }

  // Stops after so many calls, then goes on in a new process to the end.
  Process stopped_and_resumed(std::int64_t stop_after, StopRequest request = StopRequest::kCancel) {
    const Process stopped = run(std::nullopt, stop_after, request);
    if (stopped.completed()) return stopped;
    return run(context_of(stopped));
  }

  std::int64_t batches() const { return (dataset_.train.size() + 15) / 16; }

  ManualClock clock_;
  strategy::Strategy strategy_ = example_strategy();
  strategy::Dataset dataset_ = example_dataset();
  ModelTrainerOptions options_;
  std::int64_t fail_at_call_ = -1;
  Duration each_call_takes_{0};
  std::function<void(Process&)> after_call_ = [](Process&) {};
  std::function<void(MemoryCheckpointSink&)> prepare_sink_ = [](MemoryCheckpointSink&) {};
  std::function<void(LossSums&)> change_evaluation_ = [](LossSums&) {};
};

}  // namespace ktrdr::training::testing
