// What checkpoints cost a whole training. One is taken after every other epoch, so that each epoch with one
// has a neighbour without. A whole epoch differs from the next by more than a checkpoint costs, for reasons
// of the machine; so what is compared is how far the batches during a save fall behind the pace right before
// and right after it, with the same batches of the epochs without a checkpoint.
#include <cmath>

#include "benches.h"
#include "checkpoint_writer.h"
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/training/model_trainer.h"
#include "ktrdr/training/testing/example_training.h"
#include "marked_engine.h"
#include "running_operation.h"

namespace ktrdr::bench {
namespace {

constexpr std::int64_t kRows = 57'600, kColumns = 16, kEpochs = 51, kSeed = 42;
constexpr std::size_t kShortestWindow = 32;  // batches
constexpr double kBound = 1;                 // per cent

class Unobserved final : public training::TrainingObserver {
  void on_progress(const api::Progress&, api::Phase) override {}
  void on_checkpoint_pause(Duration) override {}
  void on_history_restored(const std::vector<api::EpochMetrics>&) override {}
  void on_epoch(const api::EpochMetrics&) override {}
};

using Clock = double Moment::*;

// The batches of a training in which a checkpoint was taken after epochs 1, 3, 5 and so on, counted from 0.
class Epochs {
 public:
  explicit Epochs(const std::vector<Moment>& batches)
      : batches_(batches), length_(batches.size() / static_cast<std::size_t>(kEpochs)) {
    CHECK(batches.size() % static_cast<std::size_t>(kEpochs) == 0, "all epochs are equally long");
  }

  std::size_t length() const { return length_; }  // in batches

  double seconds(Clock clock) const {
    std::vector<double> all;
    for (std::size_t epoch = 1; epoch < kEpochs; ++epoch)
      all.push_back(between((epoch - 1) * length_, epoch * length_, clock));
    return median(all);
  }

  // How many batches of this epoch had begun at that time.
  std::size_t begun(std::size_t epoch, Stopwatch::time_point time) const {
    const auto first = batches_.begin() + static_cast<std::ptrdiff_t>(epoch * length_);
    const auto later = std::find_if(first, batches_.end(),
                                    [&](const Moment& batch) { return batch.clock > seconds_of(time); });
    return static_cast<std::size_t>(later - first);
  }

  // From the beginning of the last batch before an epoch to the end of so many batches of it, as far as that
  // is longer than usual right before and after. What is done between two epochs is in it.
  double behind(std::size_t epoch, std::size_t batches, Clock clock) const {
    const std::size_t first = epoch * length_, last = first + batches;
    const double pace = between(first - 1 - batches, first - 1, clock) + between(last, last + batches, clock);
    return between(first - 1, last, clock) - pace / 2;
  }

 private:
  double between(std::size_t begin, std::size_t end, Clock clock) const {
    return batches_[end].*clock - batches_[begin].*clock;
  }

  const std::vector<Moment>& batches_;
  std::size_t length_;
};

// The k-th checkpoint is taken when epoch 2k + 2 begins, counted from 0.
constexpr std::size_t kCheckpoints = kEpochs / 2;
std::size_t epoch_with(std::size_t k) { return 2 * k + 2; }
std::size_t epoch_without(std::size_t k) { return 2 * k + 1; }

// In how many batches each checkpoint was safe, and then some, for what is tidied up after it. The commit
// before the first of them is that of the beginning.
std::vector<std::size_t> windows_of(const Epochs& epochs, const std::vector<Stopwatch::time_point>& commits) {
  std::vector<std::size_t> windows;
  for (std::size_t k = 0; k < kCheckpoints; ++k) {
    const std::size_t safe = epochs.begun(epoch_with(k), commits[k + 1]);
    windows.push_back(std::clamp(safe + safe / 4, kShortestWindow, epochs.length() / 2));
  }
  return windows;
}

// In per cent of an epoch; and how much two halves of the epochs without a checkpoint seem to differ.
struct Overhead {
  double value = 0, doubt = 0;
};

Overhead overhead(const Epochs& epochs, const std::vector<std::size_t>& windows, Clock clock) {
  std::vector<double> with, without;
  for (std::size_t k = 0; k < kCheckpoints; ++k) {
    with.push_back(epochs.behind(epoch_with(k), windows[k], clock));
    without.push_back(epochs.behind(epoch_without(k), windows[k], clock));
  }
  const auto half = without.begin() + kCheckpoints / 2;
  const double percent = 100 / epochs.seconds(clock);
  return {percent * (median(with) - median(without)),
          percent * std::abs(median({without.begin(), half}) - median({half, without.end()}))};
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
  MarkedEngine marked(**engine);
  RunningOperation operation;
  Unobserved observer;
  training::ModelTrainerOptions options;
  options.seed = kSeed;
  options.checkpoints = {.every_epochs = 2, .every = Duration(0), .overhead_budget = 1};
  SystemClock clock;
  worker::CheckpointWriter writer(operation.pipeline());
  training::ModelTrainer trainer(clock, marked, strategy, dataset, writer, observer, options);
  const training::StopSignal never;
  const auto outcome = trainer.train(never);
  CHECK(outcome.ok(), "the training completes");
  if (outcome->timing.checkpoints_taken != 1 + kCheckpoints) figures.broken("a checkpoint was not taken");
  const Epochs epochs(marked.batches());
  const auto windows = windows_of(epochs, operation.commits().times());
  const Overhead by_clock = overhead(epochs, windows, &Moment::clock),
                 by_processor = overhead(epochs, windows, &Moment::processor);
  const double epoch_ms = 1000 * epochs.seconds(&Moment::clock);
  std::fprintf(
      stderr,
      "  %.0f ms an epoch; training waits %.2f ms for a checkpoint, whose traces are looked for in %.0f ms\n",
      epoch_ms, 1000 * outcome->timing.checkpoint_pause_seconds / static_cast<double>(kCheckpoints),
      epoch_ms * median({windows.begin(), windows.end()}) / static_cast<double>(epochs.length()));
  std::fprintf(stderr,
               "  by the clock %.2f %% (without checkpoints %.2f), by processor time %.2f %% (%.2f)\n",
               by_clock.value, by_clock.doubt, by_processor.value, by_processor.doubt);
  figures.at_most("overhead_percent", std::max(by_clock.value, by_processor.value), kBound);
}

}  // namespace ktrdr::bench
