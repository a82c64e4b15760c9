// Saving and restoring have no room for a second copy of the state: the kernel refuses it.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizerNeedsMemory = true;
#else
constexpr bool kSanitizerNeedsMemory = false;
#endif

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::IsOk;
using ::testing::ExitedWithCode;

const OperationId kOperation{"op_1"};
constexpr CheckpointRef kRef{1, 0};
constexpr int kOutOfMemory = 2;                           // an exit code
constexpr std::size_t kNumbers = 8 << 20;                 // 32 MiB a tensor, three of them
constexpr std::uint64_t kRoom = std::uint64_t{24} << 20;  // a helper's stack takes a third of it

// Takes what malloc has left over from before (of earlier tests), which no limit could take away.
void use_up_what_is_free() {
  constexpr std::size_t kPiece = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kPiece);  // so that a piece which is not left over is mapped
  for (const std::size_t mapped = mallinfo2().hblks; mallinfo2().hblks == mapped;) {
    if (std::malloc(kPiece) == nullptr) std::_Exit(98);  // never freed: the process ends soon
  }
}

// The kernel counts private memory that can be written; mapped files and what is there already are free.
void leave_room() {
  use_up_what_is_free();
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmData:", 0) != 0) continue;
    const std::uint64_t now = std::stoull(line.substr(7)) << 10;
    const rlimit limit{now + kRoom, now + kRoom};
    if (setrlimit(RLIMIT_DATA, &limit) == 0) return;
  }
  std::_Exit(99);
}

class CheckpointMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kSanitizerNeedsMemory) GTEST_SKIP() << "a sanitizer takes memory of its own";
    for (TensorMap* tensors : {&model_, &optimizer_, &best_}) {
      tensors->put_f32("weight", std::vector<float>(kNumbers, 0.5F));
    }
    trainer_.put_scalar("step", 1.0);
    content_.description.operation = kOperation;
    content_.description.ref = kRef;
    content_.files = {tensor_file(std::string(kModelFile), model_).value(),
                      tensor_file(std::string(kOptimizerFile), optimizer_).value(),
                      tensor_file(std::string(kTrainerFile), trainer_).value(),
                      tensor_file(std::string(kBestModelFile), best_).value()};
  }

  template <class Work>
  static void in_little_memory(Work work) {
    leave_room();
    try {
      std::_Exit(work() ? 0 : 1);
    } catch (const std::bad_alloc&) {
      std::_Exit(kOutOfMemory);
    }
  }

  const testing::TemporaryFolder folder_;
  FileCheckpointStore store_ = FileCheckpointStore::open(folder_.path()).value();
  TensorMap model_, optimizer_, best_, trainer_;
  CheckpointContent content_;
};

TEST_F(CheckpointMemory, SavingMakesNoCopyBesideTheSnapshot) {
  EXPECT_EXIT(in_little_memory([&] { return store_.put(content_).ok(); }), ExitedWithCode(0), "");
  EXPECT_THAT(store_.load(kOperation, kRef), IsOk());
}

TEST_F(CheckpointMemory, RestoringMakesOneCopyAndThatIsTheEngines) {
  ASSERT_THAT(store_.put(content_), IsOk());
  const auto restore = [&] {
    const auto loaded = store_.load(kOperation, kRef);
    if (!loaded.ok()) return false;
    model_.assign_from(loaded->model().tensors);  // into memory that is there
    optimizer_.assign_from(loaded->optimizer().tensors);
    best_.assign_from(loaded->best_model()->tensors);
    return true;
  };
  EXPECT_EXIT(in_little_memory(restore), ExitedWithCode(0), "");
}

TEST_F(CheckpointMemory, AThirdOfTheStateWouldAlreadyBeTooMuch) {
  const auto copy = [&] { return TensorMap(model_).size() == 1; };
  EXPECT_EXIT(in_little_memory(copy), ExitedWithCode(kOutOfMemory), "");
}

}  // namespace
}  // namespace ktrdr::checkpoints
