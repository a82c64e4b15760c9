// What a save of 300 MB costs: the moment at which training waits, the time until it is durable, and memory.
// Each is measured in the same rounds as the plain thing it is compared with.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "benches.h"
#include "large_training.h"
#include "memory.h"
#include "running_operation.h"

namespace ktrdr::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kPauseRounds = 15, kSaveRounds = 9;
constexpr double kPauseBound = 1.1, kCommitBound = 1.2, kMemoryBound = 1.0;

struct Buffer {
  explicit Buffer(std::size_t size) : bytes(size, std::byte{1}) {}  // written, so that it is warm
  std::vector<std::byte> bytes;
};

double memcpy_seconds(const Buffer& from, Buffer& to) {
  const auto begin = Stopwatch::now();
  std::memcpy(to.bytes.data(), from.bytes.data(), to.bytes.size());
  return seconds_since(begin);
}

double snapshot_seconds(const LargeTraining& training, training::TrainingSnapshot& into) {
  const auto begin = Stopwatch::now();
  training.take(into);
  return seconds_since(begin);
}

void measure_pauses(Figures& figures, const LargeTraining& training, training::TrainingSnapshot& snapshot) {
  const Buffer from(LargeTraining::bytes_of(snapshot));
  Buffer to(from.bytes.size());
  std::vector<double> ratios, pauses;
  for (int round = 0; round < kPauseRounds; ++round) {
    const double copy = memcpy_seconds(from, to);
    pauses.push_back(snapshot_seconds(training, snapshot));
    ratios.push_back(pauses.back() / copy);
  }
  std::fprintf(stderr, "  training waits for %.1f ms\n", 1000 * median(pauses));
  figures.at_most("pause_of_memcpy", median(ratios), kPauseBound);
}

// One file, written with as few calls as the kernel allows, and one fsync.
double write_seconds(const fs::path& path, const Buffer& content) {
  const auto begin = Stopwatch::now();
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  for (std::span<const std::byte> left = content.bytes; !left.empty();) {
    const ssize_t written = write(file, left.data(), left.size());
    CHECK(written > 0, "the disk takes a file");
    left = left.subspan(static_cast<std::size_t>(written));
  }
  CHECK(fsync(file) == 0, "the disk keeps a file");
  close(file);
  const double seconds = seconds_since(begin);
  fs::remove(path);
  return seconds;
}

// From the moment at which training is asked to wait, to the commit of the row.
double commit_seconds(RunningOperation& operation, const LargeTraining& training,
                      training::TrainingSnapshot& snapshot) {
  const auto begin = Stopwatch::now();
  training.take(snapshot);
  const CheckpointRef ref = operation.pipeline().enqueue(snapshot, api::CheckpointType::kPeriodic);
  operation.pipeline().step();
  CHECK(operation.pipeline().acknowledged() == ref, "a checkpoint is committed");
  return std::chrono::duration<double>(operation.commits().times().back() - begin).count();
}

void measure_commits(Figures& figures, const LargeTraining& training, training::TrainingSnapshot& snapshot) {
  RunningOperation operation;
  const Buffer content(LargeTraining::bytes_of(snapshot));
  std::vector<double> ratios, plain, ours;
  for (int round = 0; round <= kSaveRounds; ++round) {
    const double written = write_seconds(operation.folder() / "plain", content);
    const double committed = commit_seconds(operation, training, snapshot);
    if (round == 0) continue;  // for warming up
    plain.push_back(written);
    ours.push_back(committed);
    ratios.push_back(committed / written);
  }
  std::fprintf(stderr, "  committed after %.0f ms, plain write and fsync take %.0f ms\n", 1000 * median(ours),
               1000 * median(plain));
  figures.at_most("commit_of_write_and_fsync", median(ratios), kCommitBound);
}

// The first save of a process: nothing is allocated yet.
void measure_memory(Figures& figures, const LargeTraining& training, training::TrainingSnapshot& snapshot) {
  RunningOperation operation;
  const Memory before = memory_now();
  MemoryWatch watch;
  commit_seconds(operation, training, snapshot);
  const double extra = static_cast<double>(watch.peak().resident - before.resident);
  figures.at_most("save_memory_of_state", extra / static_cast<double>(LargeTraining::bytes_of(snapshot)),
                  kMemoryBound);
}

}  // namespace

void save_large_states(Figures& figures, LargeTraining& training) {
  training::TrainingSnapshot snapshot;
  measure_memory(figures, training, snapshot);
  measure_pauses(figures, training, snapshot);
  measure_commits(figures, training, snapshot);
}

}  // namespace ktrdr::bench
