// What a verified restore of 300 MB costs, with its files in the page cache, compared with mapping and
// copying them. Both copy into memory that is there already, as an engine's is.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "benches.h"
#include "ktrdr/training/resume.h"
#include "large_training.h"
#include "memory.h"
#include "running_operation.h"

namespace ktrdr::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 21;
constexpr double kTimeBound = 1.2, kMemoryBound = 0.1;

double copy_seconds(const std::vector<fs::path>& files, std::vector<std::byte>& into) {
  const auto begin = Stopwatch::now();
  std::byte* target = into.data();
  for (const fs::path& path : files) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const std::size_t size = fs::file_size(path);
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(mapped != MAP_FAILED, "a file can be mapped");
    std::memcpy(target, mapped, size);
    target += size;
    munmap(mapped, size);
    close(file);
  }
  return seconds_since(begin);
}

struct Restored {
  std::unique_ptr<training::Engine> engine;
  training::BestModel best_model;
};

// What ModelTrainer does with a checkpoint.
double restore_seconds(const RunningOperation& operation, CheckpointRef ref, Restored& into) {
  const auto begin = Stopwatch::now();
  auto context = training::restore_from_checkpoint(operation.store(), operation.id(), ref);
  CHECK(context.ok() && into.engine->restore_model(context->model_weights).ok() &&
            into.engine->restore_optimizer(context->optimizer_state).ok(),
        "a checkpoint can be restored");
  into.best_model.restore(*context->best_model_weights);
  context->tensors_owner.reset();  // unmaps the files, as it is timed in copy_seconds()
  return seconds_since(begin);
}

CheckpointRef save(RunningOperation& operation, const LargeTraining& training) {
  training::TrainingSnapshot snapshot;
  training.take(snapshot);
  const CheckpointRef ref = operation.pipeline().enqueue(snapshot, api::CheckpointType::kPeriodic);
  operation.pipeline().step();
  return ref;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

std::uintmax_t size_of(const std::vector<fs::path>& files) {
  std::uintmax_t size = 0;
  for (const fs::path& file : files) size += fs::file_size(file);
  return size;
}

// What is taken beyond what the restored training keeps.
void measure_memory(Figures& figures, const RunningOperation& operation, CheckpointRef ref,
                    Restored& restored, double state_bytes) {
  const Memory before = memory_now();
  MemoryWatch watch;
  restore_seconds(operation, ref, restored);
  const Memory peak = watch.peak();
  std::fprintf(stderr, "  with the mapped pages of the page cache it is %.2f\n",
               static_cast<double>(peak.resident - before.resident) / state_bytes);
  figures.at_most("restore_memory_of_state", static_cast<double>(peak.own - before.own) / state_bytes,
                  kMemoryBound);
}

void measure_times(Figures& figures, const RunningOperation& operation, CheckpointRef ref, Restored& restored,
                   const std::vector<fs::path>& files) {
  std::vector<std::byte> copy(size_of(files), std::byte{1});
  std::vector<double> ratios, ours;
  for (int round = 0; round < kRounds; ++round) {
    const double copied = copy_seconds(files, copy);
    ours.push_back(restore_seconds(operation, ref, restored));
    ratios.push_back(ours.back() / copied);
  }
  std::fprintf(stderr, "  restored after %.1f ms\n", 1000 * median(ours));
  figures.at_most("restore_of_mmap_and_copy", median(ratios), kTimeBound);
}

}  // namespace

void restore_large_states(Figures& figures, LargeTraining& training) {
  RunningOperation operation;
  const CheckpointRef ref = save(operation, training);
  const auto files = files_in(operation.folder() / "checkpoints" / operation.id().value / ref.to_string());
  Restored restored{training.make_engine(), {}};
  restore_seconds(operation, ref, restored);  // all memory that is kept is there now
  measure_memory(figures, operation, ref, restored, static_cast<double>(size_of(files)));
  measure_times(figures, operation, ref, restored, files);
  training::TrainingSnapshot wanted, found;
  training.take(wanted);
  take_snapshot(*restored.engine, training.state(), restored.best_model.share(), found);
  if (!(found.model == wanted.model && found.optimizer == wanted.optimizer &&
        *found.best_model == *wanted.best_model)) {
    figures.broken("the restored state is another one");
  }
}

}  // namespace ktrdr::bench
