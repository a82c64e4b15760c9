// Saving and restoring have no room for a second copy of the state: the kernel refuses it.
#include <gtest/gtest.h>

#include <string>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "little_memory.h"

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::IsOk;
using ::testing::ExitedWithCode;
using testing::in_little_memory;
using testing::kOutOfMemory;

const OperationId kOperation{"op_1"};
constexpr CheckpointRef kRef{1, 0};
constexpr std::size_t kNumbers = 8 << 20;  // 32 MiB a tensor, three of them

class CheckpointMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::kSanitizerNeedsMemory) GTEST_SKIP() << "a sanitizer takes memory of its own";
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

  const ktrdr::testing::TemporaryFolder folder_;
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
