#include "checkpoint_writer.h"

namespace ktrdr::worker {
namespace {

using State = CheckpointPipeline::State;

constexpr Duration kAnyLength = std::chrono::seconds(2);          // every change wakes us
constexpr Duration kLookAround = std::chrono::milliseconds(100);  // how soon save_now() notices a deadline

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointPipeline& pipeline)
    : pipeline_(pipeline), thread_([this] { run(); }) {}

CheckpointWriter::~CheckpointWriter() { pipeline_.close(); }

void CheckpointWriter::wait_until_idle() {
  while (!pipeline_.wait(kAnyLength, [](const State& state) { return state.idle(); })) {
  }
}

void CheckpointWriter::save_in_background(const training::TrainingSnapshot& snapshot,
                                          api::CheckpointType type) {
  pipeline_.enqueue(snapshot, type);
}

Result<void> CheckpointWriter::save_now(const training::TrainingSnapshot& snapshot,
                                        api::CheckpointType type) {
  const CheckpointRef ref = pipeline_.enqueue(snapshot, type);
  while (true) {
    pipeline_.wait(kLookAround, [&](const State& state) { return state.is_settled(ref); });
    if (auto outcome = pipeline_.outcome(ref)) {
      wait_until_idle();
      return *std::move(outcome);
    }
  }
}

void CheckpointWriter::run() {
  while (true) {
    pipeline_.wait(pipeline_.backoff(), [](const State& state) { return state.has_news(); });
    if (pipeline_.at_its_end()) return;
    pipeline_.step();
  }
}

}  // namespace ktrdr::worker
