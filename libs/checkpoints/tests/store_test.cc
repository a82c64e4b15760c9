// What only files can do: symbolic links, leftovers, random damage on a disk, several processes, finished
// models.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::checkpoints::testing {
namespace {

namespace fs = std::filesystem;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

const OperationId kOperation{"op_training_1"};

class FileStore : public ::testing::Test {
 protected:
  Result<StoredCheckpoint> put(CheckpointRef ref, int seed = 1) {
    return put_sample(store_, kOperation, ref, seed);
  }
  fs::path folder_of(CheckpointRef ref) const { return root_.path() / kOperation.value / ref.to_string(); }
  fs::path leftover(const std::string& name) {  // as a writer or remover that died leaves it
    const fs::path folder = root_.path() / kOperation.value / name;
    fs::create_directories(folder);
    std::ofstream(folder / "model.safetensors") << "half";
    return folder;
  }

  ktrdr::testing::TemporaryFolder root_;
  FileCheckpointStore store_ = FileCheckpointStore::open(root_.path()).value();
};

TEST_F(FileStore, AFolderHoldsTheFilesAndNothingElse) {
  ASSERT_THAT(put({2, 17}), IsOk());
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_of({2, 17}))) names.insert(entry.path().filename());
  const std::set<std::string> expected = {"model.safetensors",   "optimizer.safetensors",
                                          "trainer.safetensors", "best_model.safetensors",
                                          "strategy.yaml",       "manifest.json"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_of({2, 17}).parent_path()), {}), 1);
}

TEST_F(FileStore, TheSameTrainingWritesTheSameModelWhateverItsAttempt) {
  ASSERT_THAT(put({1, 3}, 5), IsOk());
  ASSERT_THAT(put_sample(store_, {"another"}, {4, 9}, 5), IsOk());
  for (const std::string_view file : {kModelFile, kOptimizerFile, kTrainerFile}) {
    EXPECT_EQ(read_file(folder_of({1, 3}) / file, 1 << 20).value(),
              read_file(root_.path() / "another" / "4-9" / file, 1 << 20).value());
  }
}

std::string with_flipped_bit(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

TEST_F(FileStore, HundredsOfRandomFlipsOnTheDiskAreFound) {
  ASSERT_THAT(put({1, 0}), IsOk());
  std::mt19937_64 random(11);
  int flips = 0;
  for (const auto& entry : fs::directory_iterator(folder_of({1, 0}))) {
    const std::string bytes = read_file(entry.path(), 1 << 20).value();
    for (int i = 0; i < 50; ++i, ++flips) {
      const std::size_t bit = random() % (8 * bytes.size());
      std::ofstream(entry.path(), std::ios::binary) << with_flipped_bit(bytes, bit);
      ASSERT_THAT(store_.load(kOperation, {1, 0}), FailsWith(ErrorCode::kCheckpointCorrupted))
          << entry.path() << " bit " << bit;
    }
    std::ofstream(entry.path(), std::ios::binary) << bytes;
    ASSERT_THAT(store_.load(kOperation, {1, 0}), IsOk());
  }
  EXPECT_EQ(flips, 6 * 50);
}

// In memory, because there are many thousands of them.
TEST(Verification, FindsEveryFlippedBitOfEveryFile) {
  MemoryCheckpointStore store;
  const SampleCheckpoint sample;
  const CheckpointContent content = sample.content(kOperation, {1, 0});
  ASSERT_THAT(store.put(content), IsOk());
  std::map<std::string, std::string> files = {
      {"manifest.json", write_manifest(describe(content).value()).value().text}};
  for (const FileContent& file : content.files) {
    files[file.name] = store.load(kOperation, {1, 0}).value().text(file.name);
  }
  for (const auto& [name, bytes] : files) {
    ASSERT_FALSE(bytes.empty());
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      store.change_file(kOperation, {1, 0}, name, with_flipped_bit(bytes, bit));
      ASSERT_THAT(store.load(kOperation, {1, 0}), FailsWith(ErrorCode::kCheckpointCorrupted))
          << name << " " << bit;
    }
    store.change_file(kOperation, {1, 0}, name, bytes);
    ASSERT_THAT(store.load(kOperation, {1, 0}), IsOk());
  }
}

TEST_F(FileStore, NeverFollowsASymbolicLinkInACheckpoint) {
  ASSERT_THAT(put({1, 0}), IsOk());
  const fs::path model = folder_of({1, 0}) / "model.safetensors";
  fs::rename(model, root_ / "elsewhere");
  fs::create_symlink(root_ / "elsewhere", model);  // the right bytes, but from outside
  EXPECT_THAT(store_.load(kOperation, {1, 0}), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(store_.load(kOperation, {1, 0}), SaysError("model.safetensors is a symbolic link"));
}

TEST_F(FileStore, NeverFollowsASymbolicLinkToACheckpointOrAnOperation) {
  ASSERT_THAT(put({1, 0}), IsOk());
  fs::create_directory_symlink(folder_of({1, 0}), folder_of({1, 1}));
  EXPECT_THAT(store_.load(kOperation, {1, 1}), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(put({1, 1}), FailsWith(ErrorCode::kConflict));
  fs::create_directory_symlink(root_ / kOperation.value, root_ / "linked");
  EXPECT_THAT(store_.load({"linked"}, {1, 0}), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(store_.list({"linked"}), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(store_.operations()->size(), 1U);
}

TEST_F(FileStore, ANamedPipeOrAFolderInsteadOfAFileIsDamageAndDoesNotHang) {
  ASSERT_THAT(put({1, 0}), IsOk());
  const fs::path model = folder_of({1, 0}) / "model.safetensors";
  fs::remove(model);
  ASSERT_EQ(mkfifo(model.c_str(), 0600), 0);
  EXPECT_THAT(store_.load(kOperation, {1, 0}), SaysError("not a regular file"));
  fs::remove(model);
  fs::create_directory(model);
  EXPECT_THAT(store_.load(kOperation, {1, 0}), FailsWith(ErrorCode::kCheckpointCorrupted));
}

TEST_F(FileStore, AFileThatGrewEnormouslyIsRefusedBeforeItIsRead) {
  ASSERT_THAT(put({1, 0}), IsOk());
  fs::resize_file(folder_of({1, 0}) / "model.safetensors", std::uintmax_t{1} << 40);  // sparse
  EXPECT_THAT(store_.load(kOperation, {1, 0}), SaysError("model.safetensors has 1099511627776 bytes"));
  fs::resize_file(folder_of({1, 0}) / "manifest.json", std::uintmax_t{1} << 40);
  EXPECT_THAT(store_.load(kOperation, {1, 0}), SaysError("manifest.json has"));
}

TEST_F(FileStore, UnknownFilesInACheckpointAreIgnored) {
  ASSERT_THAT(put({1, 0}), IsOk());
  std::ofstream(folder_of({1, 0}) / ".nfs0001") << "left by a network file system";
  EXPECT_THAT(store_.load(kOperation, {1, 0}), IsOk());
}

TEST_F(FileStore, LeftoversAndForeignNamesAreNoCheckpoints) {
  ASSERT_THAT(put({1, 0}), IsOk());
  for (const char* name :
       {"1-1.0a1b2c3d.tmp", "1-2.0a1b2c3d.deleted", "latest", "1-", "01-2", "1-2-3", "notes.txt"}) {
    leftover(name);
  }
  EXPECT_EQ(store_.list(kOperation).value(), (std::vector<CheckpointRef>{{1, 0}}));
  EXPECT_THAT(store_.load(kOperation, {1, 1}), FailsWith(ErrorCode::kCheckpointNotFound));
}

TEST_F(FileStore, AStaleUnfinishedFolderDoesNotDisturbTheNextTry) {
  leftover("1-0.0a1b2c3d.tmp");
  leftover("1-0.tmp");
  ASSERT_THAT(put({1, 0}, 3), IsOk());
  EXPECT_TRUE(SampleCheckpoint(3).equals(store_.load(kOperation, {1, 0}).value()));
}

TEST_F(FileStore, TheSweepLeavesTheCurrentAttemptAlone) {
  ASSERT_THAT(put({1, 0}), IsOk());
  const fs::path old = leftover("1-5.0a1b2c3d.tmp");
  const fs::path current = leftover("2-6.0a1b2c3d.tmp");
  const fs::path deleted = leftover("2-4.0a1b2c3d.deleted");
  const fs::path foreign = leftover("notes.txt");
  const auto removed =
      store_.remove_leftovers(kOperation, [](CheckpointRef ref) { return ref.attempt >= 2; });
  EXPECT_EQ(removed.value(), 2U);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(current));
  EXPECT_FALSE(fs::exists(deleted));
  EXPECT_TRUE(fs::exists(foreign));
  EXPECT_THAT(store_.load(kOperation, {1, 0}), IsOk());
}

TEST_F(FileStore, RepeatingARemovalFinishesTheOneThatWasInterrupted) {
  const fs::path deleted = leftover("1-0.0a1b2c3d.deleted");
  const fs::path other = leftover("1-1.0a1b2c3d.deleted");
  EXPECT_THAT(store_.remove(kOperation, {1, 0}), IsOk());
  EXPECT_FALSE(fs::exists(deleted));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(FileStore, RemovingAnOperationTakesEverythingButWhatLinksPointTo) {
  ASSERT_THAT(put({1, 0}), IsOk());
  leftover("1-1.0a1b2c3d.tmp");
  leftover("1-2.0a1b2c3d.deleted");
  fs::create_directory(root_ / "precious");
  std::ofstream(root_ / "precious/file") << "x";
  fs::create_directory_symlink(root_ / "precious", root_.path() / kOperation.value / "1-9");
  ASSERT_THAT(store_.remove_operation(kOperation), IsOk());
  EXPECT_FALSE(fs::exists(root_ / kOperation.value));
  EXPECT_TRUE(fs::exists(root_ / "precious/file"));
}

TEST_F(FileStore, AFullOrReadOnlyPlaceIsAnErrorNotACrash) {
  std::ofstream(root_ / "file") << "x";
  EXPECT_THAT(FileCheckpointStore::open(root_ / "file/store"), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(FileCheckpointStore::open(""), FailsWith(ErrorCode::kInvalidArgument));
  std::ofstream(root_ / kOperation.value) << "a file where the folder should be";
  EXPECT_THAT(put({1, 0}), FailsWith(ErrorCode::kIo));
}

pid_t start_put(const fs::path& root, CheckpointRef ref, int seed) {
  const std::vector<std::string> words = {CHECKPOINT_STORE_PROGRAM,
                                          "put",
                                          root.string(),
                                          kOperation.value,
                                          std::to_string(ref.attempt),
                                          std::to_string(ref.sequence),
                                          std::to_string(seed)};
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  return child;
}

int exit_status(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(FileStore, ProcessesPutDifferentCheckpointsOfOneOperationAtOnce) {
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) children.push_back(start_put(root_.path(), {1 + i % 2, i}, i));
  for (const pid_t child : children) EXPECT_EQ(exit_status(child), 0);
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(SampleCheckpoint(i).equals(store_.load(kOperation, {1 + i % 2, i}).value())) << i;
  }
}

TEST_F(FileStore, OfProcessesThatPutOneReferenceAtOnceExactlyOneWins) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) children.push_back(start_put(root_.path(), {1, 0}, i));
  int winner = -1, winners = 0;
  for (int i = 0; i < 4; ++i) {
    const int status = exit_status(children[static_cast<std::size_t>(i)]);
    EXPECT_TRUE(status == 0 || status == 3) << status;
    if (status == 0) winner = i, ++winners;
  }
  ASSERT_EQ(winners, 1);
  EXPECT_TRUE(SampleCheckpoint(winner).equals(store_.load(kOperation, {1, 0}).value()));
  EXPECT_EQ(store_.remove_leftovers(kOperation, [](CheckpointRef) { return false; }).value(), 0U);
}

class Models : public ::testing::Test {
 protected:
  std::vector<FileContent> files(int seed) const {
    return {tensor_file(std::string(kModelFile), seed == 1 ? one_.model : two_.model).value(),
            text_file("config.json", "{}")};
  }
  Result<PublishedModel> publish(Attempt attempt, int seed = 1) {
    return store_.publish(kOperation, attempt, files(seed));
  }

  const SampleCheckpoint one_{1}, two_{2};
  ktrdr::testing::TemporaryFolder root_;
  ModelStore store_ = ModelStore::open(root_ / "models").value();
};

TEST_F(Models, ArePublishedUnderOperationAndAttempt) {
  const auto model = publish(3);
  ASSERT_THAT(model, IsOk());
  EXPECT_EQ(model->path, root_ / "models" / kOperation.value / "3");
  EXPECT_EQ(model->model_sha256, sha256_of_file(model->path / "model.safetensors").value());
  EXPECT_EQ(read_file(model->path / "config.json", 10).value(), "{}");
  EXPECT_EQ(std::distance(fs::directory_iterator(model->path), {}), 2);
}

TEST_F(Models, PublishingTheSameAgainGivesTheSameAnswer) {
  const auto first = publish(3);
  EXPECT_EQ(publish(3).value(), first.value());
  EXPECT_EQ(std::distance(fs::directory_iterator(first->path.parent_path()), {}), 1);
}

TEST_F(Models, OtherBytesUnderTheSameAttemptAreRefusedAndTheFirstStay) {
  const auto first = publish(3, 1);
  EXPECT_THAT(publish(3, 2), FailsWith(ErrorCode::kConflict));
  std::vector<FileContent> more = files(1);
  more.push_back(text_file("extra.txt", "x"));
  EXPECT_THAT(store_.publish(kOperation, 3, more), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(sha256_of_file(first->path / "model.safetensors").value(), first->model_sha256);
}

TEST_F(Models, AnotherAttemptIsAnotherModel) {
  ASSERT_THAT(publish(3, 1), IsOk());
  const auto second = publish(4, 2);
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(second->model_sha256, publish(3, 1)->model_sha256);
}

TEST_F(Models, RefuseWhatCanNotBePublished) {
  EXPECT_THAT(store_.publish(kOperation, 1, std::vector<FileContent>{}),
              FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(store_.publish(kOperation, 1, std::vector{text_file("model.safetensors", "")}),
              FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(store_.publish(kOperation, -1, files(1)), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(store_.publish({"../x"}, 1, files(1)), FailsWith(ErrorCode::kInvalidArgument));
  std::vector<FileContent> evil = files(1);
  evil.push_back(text_file("../evil", "x"));
  EXPECT_THAT(store_.publish(kOperation, 1, evil), FailsWith(ErrorCode::kInvalidArgument));
  evil.back() = evil.front();
  EXPECT_THAT(store_.publish(kOperation, 1, evil), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(fs::exists(root_ / "models" / kOperation.value));
}

TEST_F(Models, LeftoversOfEarlierAttemptsGoAndThoseOfLaterOnesStay) {
  const fs::path parent = root_ / "models" / kOperation.value;
  fs::create_directories(parent / "1.0a1b2c3d.tmp");
  fs::create_directories(parent / "9.0a1b2c3d.tmp");
  ASSERT_THAT(publish(1, 1), IsOk());
  ASSERT_THAT(publish(3, 2), IsOk());
  EXPECT_FALSE(fs::exists(parent / "1.0a1b2c3d.tmp"));
  EXPECT_TRUE(fs::exists(parent / "9.0a1b2c3d.tmp"));
  EXPECT_TRUE(fs::exists(parent / "1" / "model.safetensors"));
}

}  // namespace
}  // namespace ktrdr::checkpoints::testing
