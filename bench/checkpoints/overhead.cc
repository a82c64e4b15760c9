// What checkpoints cost a whole training. A checkpoint is taken after every other epoch, so that each epoch
// with one has a neighbour without, and the two differ in nothing else.
#include <time.h>

#include "benches.h"
#include "checkpoint_writer.h"
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/training/model_trainer.h"
#include "ktrdr/training/testing/example_training.h"
#include "running_operation.h"

namespace ktrdr::bench {
namespace {

constexpr std::int64_t kRows = 57'600, kColumns = 16, kEpochs = 51, kSeed = 42;
constexpr double kBound = 1;  // per cent

// In nanoseconds where getrusage() may count in ticks of 4 ms, which is more than a checkpoint costs.
double processor_seconds(clockid_t whose) {
  timespec time{};
  CHECK(clock_gettime(whose, &time) == 0, "every thread has a clock of its processor time");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The moments at which epochs end; a checkpoint is taken after that, in the time of the next epoch.
class EpochTimes final : public training::TrainingObserver {
 public:
  void on_progress(const api::Progress&, api::Phase) override {}
  void on_checkpoint_pause(Duration) override {}
  void on_history_restored(const std::vector<api::EpochMetrics>&) override {}
  void on_epoch(const api::EpochMetrics&) override {
    clock.push_back(std::chrono::duration<double>(Stopwatch::now().time_since_epoch()).count());
    trainer.push_back(processor_seconds(CLOCK_THREAD_CPUTIME_ID));  // this is called on the training thread
    process.push_back(
        processor_seconds(CLOCK_PROCESS_CPUTIME_ID));  // with the thread that writes checkpoints
  }

  std::vector<double> clock, trainer, process;
};

// How much longer an epoch takes that begins with a checkpoint, in per cent of its neighbour.
double overhead(const std::vector<double>& ends) {
  std::vector<double> differences;
  for (std::size_t end = 2; end < ends.size(); end += 2) {
    const double with = ends[end] - ends[end - 1], without = ends[end - 1] - ends[end - 2];
    differences.push_back(100 * (with - without) / without);
  }
  return median(differences);
}

strategy::Strategy usual_strategy() {
  strategy::Strategy strategy = training::testing::example_strategy();
  strategy.model.hidden_layers = {64, 32};
  strategy.training.batch_size = 32;
  strategy.training.epochs = kEpochs;
  return strategy;
}

}  // namespace

void train_with_a_checkpoint_every_epoch(Figures& figures) {
  const strategy::Strategy strategy = usual_strategy();
  const strategy::Dataset dataset = training::testing::example_dataset(kRows, kColumns);
  auto engine = engine_torch::make_torch_engine_factory()->create(strategy, dataset, kSeed);
  CHECK(engine.ok(), "an engine can be made");
  RunningOperation operation;
  EpochTimes times;
  training::ModelTrainerOptions options;
  options.seed = kSeed;
  options.checkpoints = {.every_epochs = 2, .every = Duration(0), .overhead_budget = 1};
  SystemClock clock;
  worker::CheckpointWriter writer(operation.pipeline());
  training::ModelTrainer trainer(clock, **engine, strategy, dataset, writer, times, options);
  const training::StopSignal never;
  const auto outcome = trainer.train(never);
  CHECK(outcome.ok(), "the training completes");
  std::fprintf(stderr, "  %.0f ms an epoch; a checkpoint lets training wait %.2f ms\n",
               1000 * (times.clock.back() - times.clock.front()) / static_cast<double>(kEpochs - 1),
               1000 * outcome->timing.checkpoint_pause_seconds / static_cast<double>(kEpochs / 2));
  if (outcome->timing.checkpoints_taken != 1 + kEpochs / 2) figures.broken("a checkpoint was not taken");
  const double by_clock = overhead(times.clock), by_processor = overhead(times.trainer);
  std::fprintf(stderr,
               "  %.2f %% by the clock, %.2f %% of the training thread's processor time, %.2f %% of all\n",
               by_clock, by_processor, overhead(times.process));
  figures.at_most("overhead_percent", std::max(by_clock, by_processor), kBound);
}

}  // namespace ktrdr::bench
