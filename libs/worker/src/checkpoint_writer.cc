#include "checkpoint_writer.h"

#include <pthread.h>
#include <time.h>

#include "ktrdr/core/check.h"
#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

using State = CheckpointPipeline::State;

constexpr Duration kAnyLength = std::chrono::seconds(2);          // every change wakes us
constexpr Duration kLookAround = std::chrono::milliseconds(100);  // how soon save_now() notices a deadline

std::chrono::nanoseconds processor_time(pthread_t thread) {
  clockid_t clock{};
  timespec used{};
  const bool known = pthread_getcpuclockid(thread, &clock) == 0 && clock_gettime(clock, &used) == 0;
  CHECK(known, "a thread that was not joined has this clock");
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointPipeline& pipeline)
    : pipeline_(pipeline), thread_([this, subject = log_subject()] {
        const LogScope scope(subject);
        run();
      }) {}

CheckpointWriter::~CheckpointWriter() { pipeline_.close(); }

void CheckpointWriter::wait_until_idle() {
  while (!pipeline_.wait(kAnyLength, [](const State& state) { return state.idle(); })) {
  }
}

void CheckpointWriter::save_in_background(const training::TrainingSnapshot& snapshot,
                                          api::CheckpointType type) {
  pipeline_.enqueue(snapshot, type);
}

std::chrono::nanoseconds CheckpointWriter::background_cost() const {
  return processor_time(thread_.native_handle());
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
    const auto before = processor_time(pthread_self());
    pipeline_.step();
    pipeline_.count_processor_time(processor_time(pthread_self()) - before);
  }
}

}  // namespace ktrdr::worker
