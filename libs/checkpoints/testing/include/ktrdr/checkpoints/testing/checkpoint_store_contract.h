// What every CheckpointStore does. A new store joins with one line in a test:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, CheckpointStoreContract, ::testing::Values(&make_memory_bench));
//
// Include it in one .cc of a test program.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::checkpoints::testing {

// One empty store, and a way to its bytes behind its back.
class CheckpointStoreBench {
 public:
  virtual ~CheckpointStoreBench() = default;
  virtual CheckpointStore& store() = 0;
  // Replaces the bytes of a stored file; without new bytes the file goes.
  virtual void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                           std::optional<std::string> bytes) = 0;
};

using MakeBench = std::unique_ptr<CheckpointStoreBench> (*)();

class CheckpointStoreContract : public ::testing::TestWithParam<MakeBench> {
 protected:
  CheckpointStoreContract() : bench_(GetParam()()), store_(bench_->store()) {}

  Result<StoredCheckpoint> put(CheckpointRef ref, int seed = 1) {
    return put_sample(store_, operation_, ref, seed);
  }
  std::string stored_bytes(CheckpointRef ref, std::string_view file) {
    const auto loaded = store_.load(operation_, ref);
    return std::string(loaded.value().text(file));
  }
  // Expects that loading is refused and that the message names the file.
  void expect_corrupted(CheckpointRef ref, std::string_view file) {
    const auto loaded = store_.load(operation_, ref);
    EXPECT_THAT(loaded, ktrdr::testing::FailsWith(ErrorCode::kCheckpointCorrupted));
    EXPECT_THAT(loaded, ktrdr::testing::SaysError(std::string(file)));
  }

  std::unique_ptr<CheckpointStoreBench> bench_;
  CheckpointStore& store_;
  const OperationId operation_{"op_training_1"};
  const std::vector<std::string_view> tensor_files_ = {kModelFile, kOptimizerFile, kTrainerFile,
                                                       kBestModelFile};
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CheckpointStoreContract);

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

TEST_P(CheckpointStoreContract, GivesBackEveryBitOfWhatWasPut) {
  const SampleCheckpoint sample(4);
  const auto stored = store_.put(sample.content(operation_, {2, 17}));
  ASSERT_THAT(stored, IsOk());
  const auto loaded = store_.load(operation_, {2, 17});
  ASSERT_THAT(loaded, IsOk());
  EXPECT_TRUE(sample.equals(*loaded));
  EXPECT_EQ(loaded->manifest_digest(), stored->manifest_digest);
  const CheckpointDescription& description = loaded->manifest();
  EXPECT_EQ(description, sample.content(operation_, {2, 17}).description);
}

TEST_P(CheckpointStoreContract, CountsEveryByteItKeeps) {
  const SampleCheckpoint sample;
  const CheckpointContent content = sample.content(operation_, {1, 0});
  std::uint64_t expected = write_manifest(describe(content).value())->text.size();
  for (const FileContent& file : content.files) expected += file.size();
  EXPECT_EQ(store_.put(content)->total_bytes, expected);
}

TEST_P(CheckpointStoreContract, NeverOverwrites) {
  ASSERT_THAT(put({1, 0}, 1), IsOk());
  EXPECT_THAT(put({1, 0}, 2), FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(put({1, 0}, 1), FailsWith(ErrorCode::kConflict));  // equal content is no excuse
  EXPECT_TRUE(SampleCheckpoint(1).equals(store_.load(operation_, {1, 0}).value()));
}

TEST_P(CheckpointStoreContract, RefusesWhatIsNoCheckpoint) {
  const SampleCheckpoint sample;
  const CheckpointContent whole = sample.content(operation_, {1, 0});
  for (std::size_t i = 0; i < 3; ++i) {  // each of the three required files
    CheckpointContent without = whole;
    without.files.erase(without.files.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THAT(store_.put(without), FailsWith(ErrorCode::kInvalidArgument)) << i;
    CheckpointContent empty = whole;
    empty.files[i] = text_file(empty.files[i].name, "");
    EXPECT_THAT(store_.put(empty), FailsWith(ErrorCode::kInvalidArgument)) << i;
  }
  CheckpointContent twice = whole;
  twice.files.push_back(twice.files.front());
  EXPECT_THAT(store_.put(twice), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(store_.list(operation_)->empty());
}

TEST_P(CheckpointStoreContract, RefusesFileNamesThatCouldLeaveTheFolder) {
  for (const char* name : {"../evil", "/etc/passwd", "a/b", "..", ".", "", "manifest.json", "A", "x\n"}) {
    const SampleCheckpoint sample;
    CheckpointContent content = sample.content(operation_, {1, 0});
    content.files.push_back(text_file(name, "x"));
    EXPECT_THAT(store_.put(content), FailsWith(ErrorCode::kInvalidArgument)) << name;
  }
  EXPECT_TRUE(store_.list(operation_)->empty());
}

TEST_P(CheckpointStoreContract, RefusesOperationIdsThatWereNeverChecked) {
  for (const char* name : {"..", "", "a/b", "A", "a.b", "../../etc"}) {
    const OperationId bad{name};
    EXPECT_THAT(put_sample(store_, bad, {1, 0}), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(store_.load(bad, {1, 0}), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(store_.list(bad), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(store_.remove(bad, {1, 0}), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(store_.remove_operation(bad), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(store_.remove_leftovers(bad, [](CheckpointRef) { return false; }),
                FailsWith(ErrorCode::kInvalidArgument));
  }
}

TEST_P(CheckpointStoreContract, TellsMissingFromDamaged) {
  EXPECT_THAT(store_.load(operation_, {1, 0}), FailsWith(ErrorCode::kCheckpointNotFound));
  ASSERT_THAT(put({1, 0}), IsOk());
  EXPECT_THAT(store_.load(operation_, {1, 1}), FailsWith(ErrorCode::kCheckpointNotFound));
  bench_->change_file(operation_, {1, 0}, std::string(kManifestFile), std::nullopt);
  expect_corrupted({1, 0}, kManifestFile);
}

TEST_P(CheckpointStoreContract, ListsByAttemptThenSequenceAsNumbers) {
  for (const CheckpointRef ref : {CheckpointRef{2, 11}, {1, 9}, {10, 12}, {1, 10}})
    ASSERT_THAT(put(ref), IsOk());
  const std::vector<CheckpointRef> expected = {{1, 9}, {1, 10}, {2, 11}, {10, 12}};
  EXPECT_EQ(store_.list(operation_).value(), expected);
  EXPECT_TRUE(store_.list({"another"})->empty());
}

TEST_P(CheckpointStoreContract, KeepsOperationsApart) {
  ASSERT_THAT(put_sample(store_, {"a"}, {1, 0}, 1), IsOk());
  ASSERT_THAT(put_sample(store_, {"a-1"}, {1, 0}, 2), IsOk());
  EXPECT_EQ(store_.operations().value(), (std::vector<OperationId>{{"a"}, {"a-1"}}));
  ASSERT_THAT(store_.remove_operation({"a"}), IsOk());
  EXPECT_EQ(store_.operations().value(), (std::vector<OperationId>{{"a-1"}}));
  EXPECT_TRUE(SampleCheckpoint(2).equals(store_.load({"a-1"}, {1, 0}).value()));
}

TEST_P(CheckpointStoreContract, RemovesOneCheckpointAndNoOther) {
  for (std::int64_t i = 0; i < 3; ++i) ASSERT_THAT(put({1, i}, static_cast<int>(i)), IsOk());
  ASSERT_THAT(store_.remove(operation_, {1, 1}), IsOk());
  EXPECT_THAT(store_.load(operation_, {1, 1}), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_EQ(store_.list(operation_).value(), (std::vector<CheckpointRef>{{1, 0}, {1, 2}}));
  EXPECT_TRUE(SampleCheckpoint(0).equals(store_.load(operation_, {1, 0}).value()));
  EXPECT_TRUE(SampleCheckpoint(2).equals(store_.load(operation_, {1, 2}).value()));
}

TEST_P(CheckpointStoreContract, RemovingIsIdempotent) {
  EXPECT_THAT(store_.remove(operation_, {1, 0}), IsOk());
  EXPECT_THAT(store_.remove_operation(operation_), IsOk());
  ASSERT_THAT(put({1, 0}), IsOk());
  EXPECT_THAT(store_.remove(operation_, {1, 0}), IsOk());
  EXPECT_THAT(store_.remove(operation_, {1, 0}), IsOk());
  EXPECT_THAT(store_.remove_operation(operation_), IsOk());
  EXPECT_THAT(store_.remove_operation(operation_), IsOk());
  EXPECT_TRUE(store_.operations()->empty());
}

TEST_P(CheckpointStoreContract, ALoadedCheckpointOutlivesItsRemovalAndItsMove) {
  ASSERT_THAT(put({1, 0}, 6), IsOk());
  auto loaded = store_.load(operation_, {1, 0});
  ASSERT_THAT(store_.remove(operation_, {1, 0}), IsOk());
  const VerifiedCheckpoint moved = *std::move(loaded);
  EXPECT_TRUE(SampleCheckpoint(6).equals(moved));
}

TEST_P(CheckpointStoreContract, AZombiesCheckpointDisturbsNobody) {
  ASSERT_THAT(put({2, 6}, 2), IsOk());
  ASSERT_THAT(put({1, 7}, 1),
              IsOk());  // an older attempt, later: an object of its own, which no row will name
  EXPECT_THAT(put({2, 6}, 1), FailsWith(ErrorCode::kConflict));
  EXPECT_TRUE(SampleCheckpoint(2).equals(store_.load(operation_, {2, 6}).value()));
  EXPECT_EQ(store_.list(operation_).value(), (std::vector<CheckpointRef>{{1, 7}, {2, 6}}));
}

TEST_P(CheckpointStoreContract, LeftoversAreNeverPublishedCheckpoints) {
  ASSERT_THAT(put({1, 0}), IsOk());
  EXPECT_EQ(store_.remove_leftovers(operation_, [](CheckpointRef) { return false; }).value(), 0U);
  EXPECT_THAT(store_.load(operation_, {1, 0}), IsOk());
}

TEST_P(CheckpointStoreContract, FindsAFileThatIsMissing) {
  for (const std::string_view file : tensor_files_) {
    const CheckpointRef ref{1, static_cast<std::int64_t>(file.size())};
    ASSERT_THAT(put(ref), IsOk());
    bench_->change_file(operation_, ref, std::string(file), std::nullopt);
    expect_corrupted(ref, file);
    ASSERT_THAT(store_.remove(operation_, ref), IsOk());
  }
}

TEST_P(CheckpointStoreContract, FindsATruncatedAnExtendedAndAnEmptyFile) {
  ASSERT_THAT(put({1, 0}), IsOk());
  for (const std::string_view file : tensor_files_) {
    const std::string bytes = stored_bytes({1, 0}, file);
    for (const std::string& changed : {bytes.substr(0, bytes.size() - 1), bytes.substr(0, 8), bytes + '\0',
                                       bytes + bytes, std::string()}) {
      bench_->change_file(operation_, {1, 0}, std::string(file), changed);
      expect_corrupted({1, 0}, file);
    }
    bench_->change_file(operation_, {1, 0}, std::string(file), bytes);
    EXPECT_THAT(store_.load(operation_, {1, 0}), IsOk());
  }
}

TEST_P(CheckpointStoreContract, FindsFilesThatChangedPlaces) {
  ASSERT_THAT(put({1, 0}, 1), IsOk());
  ASSERT_THAT(put({1, 1}, 2), IsOk());
  const std::string other = stored_bytes({1, 1}, kModelFile);  // the same size, another checkpoint
  bench_->change_file(operation_, {1, 0}, std::string(kModelFile), other);
  expect_corrupted({1, 0}, kModelFile);
}

TEST_P(CheckpointStoreContract, FindsAManifestOfAnotherCheckpoint) {
  ASSERT_THAT(put({1, 0}), IsOk());
  const SampleCheckpoint sample;
  const CheckpointContent other = sample.content(operation_, {1, 1});
  const std::string manifest = write_manifest(describe(other).value())->text;  // its digests fit all files
  bench_->change_file(operation_, {1, 0}, std::string(kManifestFile), manifest);
  expect_corrupted({1, 0}, kManifestFile);
}

TEST_P(CheckpointStoreContract, SaysThatANewerVersionWroteIt) {
  ASSERT_THAT(put({1, 0}), IsOk());
  const SampleCheckpoint sample;
  Manifest manifest = describe(sample.content(operation_, {1, 0})).value();
  manifest.format_version = 2;
  bench_->change_file(operation_, {1, 0}, std::string(kManifestFile), write_manifest(manifest)->text);
  EXPECT_THAT(store_.load(operation_, {1, 0}), FailsWith(ErrorCode::kUnsupported));
}

TEST_P(CheckpointStoreContract, ThreadsPutDifferentCheckpointsOfOneOperationAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 4;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([this, t] {
        for (int i = 0; i < kEach; ++i) EXPECT_THAT(put({1, t * kEach + i}, t * kEach + i), IsOk());
      });
    }
  }
  const std::vector<CheckpointRef> refs = store_.list(operation_).value();
  ASSERT_EQ(refs.size(), std::size_t{kThreads * kEach});
  for (const CheckpointRef ref : refs) {
    EXPECT_TRUE(
        SampleCheckpoint(static_cast<int>(ref.sequence)).equals(store_.load(operation_, ref).value()));
  }
}

TEST_P(CheckpointStoreContract, OfManyThatPutOneReferenceAtOnceExactlyOneWins) {
  std::vector<int> winners(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([this, t, &winners] {
        const auto stored = put({1, 0}, t);
        EXPECT_TRUE(stored.ok() || stored.error().code == ErrorCode::kConflict);
        winners[static_cast<std::size_t>(t)] = stored.ok() ? 1 : 0;
      });
    }
  }
  const auto winner = std::find(winners.begin(), winners.end(), 1);
  ASSERT_EQ(std::count(winners.begin(), winners.end(), 1), 1);
  const int seed = static_cast<int>(winner - winners.begin());
  EXPECT_TRUE(SampleCheckpoint(seed).equals(store_.load(operation_, {1, 0}).value()));
}

}  // namespace ktrdr::checkpoints::testing
