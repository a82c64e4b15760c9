// Checkpoints that are large enough for what is done only with many bytes: writing in pieces with the digest
// made on the way, asking which pages are there, verifying files at the same time.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

const OperationId kOperation{"op_large"};
constexpr CheckpointRef kRef{1, 0};

TensorMap tensors(std::size_t numbers, float first) {
  std::vector<float> values(numbers);
  for (float& value : values) value = first++;
  TensorMap map;
  map.put_f32("0.weight", values);
  map.put_scalar("step", static_cast<double>(first));  // the large tensor does not end on a boundary
  return map;
}

class LargeCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = FileCheckpointStore::open(folder_.path());
    ASSERT_THAT(store, IsOk());
    store_.emplace(*std::move(store));
    content_.description.operation = kOperation;
    content_.description.ref = kRef;
    content_.files = {tensor_file(std::string(kModelFile), model_).value(),
                      tensor_file(std::string(kOptimizerFile), optimizer_).value(),
                      tensor_file(std::string(kTrainerFile), trainer_).value(),
                      tensor_file(std::string(kBestModelFile), best_).value()};
  }

  void flip_a_byte(std::string_view name, std::streamoff from_its_end) {
    const auto path = folder_ / kOperation.value / kRef.to_string() / name;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-from_its_end, std::ios::end);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(-from_its_end, std::ios::end);
    file.put(byte);
    ASSERT_TRUE(file.flush().good());
  }

  const testing::TemporaryFolder folder_;
  const TensorMap model_ = tensors(1'500'001, 1), optimizer_ = tensors(3'000'003, 2),
                  best_ = tensors(1'500'001, 3);
  const TensorMap trainer_ = tensors(3, 4);
  CheckpointContent content_;
  std::optional<FileCheckpointStore> store_;
};

TEST_F(LargeCheckpoint, IsWrittenWithTheManifestThatDescribesIt) {
  const auto stored = store_->put(content_);
  ASSERT_THAT(stored, IsOk());
  const ManifestText expected = write_manifest(describe(content_).value()).value();
  EXPECT_EQ(stored->manifest_digest, expected.digest);
  std::uint64_t bytes = expected.text.size();
  for (const FileContent& file : content_.files) bytes += file.size();
  EXPECT_EQ(stored->total_bytes, bytes);
  const auto loaded = store_->load(kOperation, kRef);
  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(loaded->text(kManifestFile), "") << "the manifest is none of the files it lists";
  EXPECT_EQ(to_tensor_map(loaded->model()), model_);
  EXPECT_EQ(to_tensor_map(loaded->optimizer()), optimizer_);
  EXPECT_EQ(to_tensor_map(loaded->trainer()), trainer_);
  EXPECT_EQ(to_tensor_map(*loaded->best_model()), best_);
}

TEST_F(LargeCheckpoint, AFlippedBitAnywhereIsFound) {
  ASSERT_THAT(store_->put(content_), IsOk());
  for (const std::streamoff from_its_end : {1, 4096, 3'000'000, 5'999'999}) {
    flip_a_byte(kModelFile, from_its_end);
    EXPECT_THAT(store_->load(kOperation, kRef), FailsWith(ErrorCode::kCheckpointCorrupted));
    flip_a_byte(kModelFile, from_its_end);
    EXPECT_THAT(store_->load(kOperation, kRef), IsOk());
  }
}

// Whoever finds what first: the same checkpoint always gives the same message.
TEST_F(LargeCheckpoint, OfTwoDamagedFilesTheFirstByNameIsTold) {
  ASSERT_THAT(store_->put(content_), IsOk());
  flip_a_byte(kOptimizerFile, 5);
  EXPECT_THAT(store_->load(kOperation, kRef), SaysError(kOptimizerFile));
  flip_a_byte(kBestModelFile, 5);
  for (int i = 0; i < 5; ++i) EXPECT_THAT(store_->load(kOperation, kRef), SaysError(kBestModelFile));
}

TEST_F(LargeCheckpoint, WhatIsWrongWithItIsRefusedBeforeAFolderIsMade) {
  content_.files.push_back(text_file("model.safetensors", "twice"));
  EXPECT_THAT(store_->put(content_), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(folder_ / kOperation.value));
}

}  // namespace
}  // namespace ktrdr::checkpoints
