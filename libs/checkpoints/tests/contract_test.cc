#include <filesystem>
#include <fstream>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/checkpoint_store_contract.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::checkpoints::testing {
namespace {

class FileBench final : public CheckpointStoreBench {
 public:
  CheckpointStore& store() override { return store_; }
  void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                   std::optional<std::string> bytes) override {
    const auto path = folder_.path() / operation.value / ref.to_string() / file;
    ASSERT_TRUE(std::filesystem::remove(path));
    if (bytes) std::ofstream(path, std::ios::binary) << *bytes;
  }

 private:
  ktrdr::testing::TemporaryFolder folder_;
  FileCheckpointStore store_ = FileCheckpointStore::open(folder_.path()).value();
};

class MemoryBench final : public CheckpointStoreBench {
 public:
  CheckpointStore& store() override { return store_; }
  void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                   std::optional<std::string> bytes) override {
    store_.change_file(operation, ref, file, std::move(bytes));
  }

 private:
  MemoryCheckpointStore store_;
};

template <class Bench>
std::unique_ptr<CheckpointStoreBench> make() {
  return std::make_unique<Bench>();
}

INSTANTIATE_TEST_SUITE_P(File, CheckpointStoreContract, ::testing::Values(&make<FileBench>));
INSTANTIATE_TEST_SUITE_P(Memory, CheckpointStoreContract, ::testing::Values(&make<MemoryBench>));

TEST(MemoryCheckpointStore, FailsOnceWhenToldTo) {
  MemoryCheckpointStore store;
  store.fail_next_put(Error(ErrorCode::kIo, "The disk is full."));
  const SampleCheckpoint sample;
  const CheckpointContent content = sample.content({"op"}, {1, 0});
  EXPECT_THAT(store.put(content), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(store.put(content), IsOk());
}

}  // namespace
}  // namespace ktrdr::checkpoints::testing
