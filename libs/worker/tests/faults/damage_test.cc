// Stored bytes that changed: the newest checkpoint is damaged in every way there is, and
// TrainingWorker::resume must find out, go on from the one before, and tell the user, before it trains.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <functional>
#include <iostream>
#include <random>

#include "fault_runner.h"
#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/log.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A server that has one operation with two checkpoints; only what a resume asks is answered.
class TwoCheckpoints final : public ServerApi {
 public:
  Result<api::TrainingJob> job(const OperationId& id) override {
    return api::TrainingJob{
        .operation_id = id.value, .attempt = 2, .checkpoints = {{.ref = {1, 2}}, {.ref = {1, 1}}}};
  }
  Result<api::ClaimAnswer> claim(const OperationId&, const api::ClaimRequest&) override {
    return api::ClaimAnswer{.current_checkpoint = CheckpointRef{1, 2}, .next_sequence = 3};
  }
  Result<api::CommitCheckpointAnswer> rewind(const OperationId&, const api::RewindRequest& request) override {
    rewound = request;
    return api::CommitCheckpointAnswer{};
  }
  Result<api::HeartbeatAnswer> heartbeat(const OperationId&, const api::HeartbeatRequest&) override {
    return no();
  }
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId&,
                                                        const api::CommitCheckpointRequest&) override {
    return no();
  }
  Result<api::AppliedAnswer> complete(const OperationId&, const api::CompleteRequest&) override {
    return no();
  }
  Result<api::AppliedAnswer> fail(const OperationId&, const api::FailRequest&) override { return no(); }
  Result<api::AppliedAnswer> stopped(const OperationId&, const api::StoppedRequest&) override { return no(); }

  std::optional<api::RewindRequest> rewound;

 private:
  static Error no() { return {ErrorCode::kInternal, "A resume asks for no such thing."}; }
};

class Damage : public ::testing::Test {
 protected:
  Damage() {
    static const bool quiet = (start_logging("worker_faults_test", LogLevel::kError), true);
    EXPECT_TRUE(quiet);
    auto station = Station::open(room_ / "data").value();
    EXPECT_TRUE(station->begin().ok() && station->save().ok() && station->save().ok() &&
                station->save().ok());
  }

  fs::path folder(std::int64_t sequence) const {
    return room_ / "data" / "checkpoints" / Station::operation().value /
           CheckpointRef{1, sequence}.to_string();
  }
  fs::path file(std::string_view name, std::int64_t sequence = 2) const { return folder(sequence) / name; }
  static void write(const fs::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }

  // The damage in 1-2 is found, 1-1 is what training goes on from, and the user is told both.
  void expect_fall_back(const std::string& what) {
    auto objects = checkpoints::FileCheckpointStore::open(room_ / "data" / "checkpoints").value();
    TwoCheckpoints server;
    std::optional<Assignment> taken;
    TrainingWorker worker(clock_, server, objects, {{"worker-2"}, "desk"}, [&](Assignment assignment) {
      taken = std::move(assignment);
      return nullptr;
    });
    const auto resumed = worker.resume({.operation_id = Station::operation().value});
    ++tried_;
    ASSERT_THAT(resumed, ktrdr::testing::IsOk()) << what;
    ASSERT_TRUE(server.rewound.has_value()) << what << " was not noticed";
    EXPECT_EQ(server.rewound->bad, (CheckpointRef{1, 2})) << what;
    EXPECT_EQ(server.rewound->previous, (CheckpointRef{1, 1})) << what;
    EXPECT_THAT(server.rewound->reason, HasSubstr("1-2")) << what;
    ASSERT_TRUE(taken && taken->resume) << what;
    EXPECT_EQ(taken->current_checkpoint, (CheckpointRef{1, 1})) << what;
    EXPECT_TRUE(holds_sample(*taken->resume, 1)) << what;
  }

  void expect_fall_back_with(const std::string& name, const std::string& whole, const std::string& bytes,
                             const std::string& what) {
    write(file(name), bytes);
    expect_fall_back(name + " " + what);
    write(file(name), whole);
  }

  // Bytes of the header of a safetensors file; of any other file all.
  static std::size_t header_of(const std::string& name, const std::string& whole) {
    if (!name.ends_with(".safetensors")) return whole.size();
    std::size_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(whole[i]);
    return std::min(whole.size(), length + 8);
  }

  const std::vector<std::string> names_ = {"manifest.json",          "model.safetensors",
                                           "optimizer.safetensors",  "trainer.safetensors",
                                           "best_model.safetensors", "strategy.yaml"};
  int tried_ = 0;
  SystemClock clock_;
  ktrdr::testing::TemporaryFolder room_;
};

TEST_F(Damage, EveryByteOfAManifestOrAHeaderAndAnyByteOfTheDataThatChanged) {
  std::mt19937 random(20261123);
  for (const std::string& name : names_) {
    const std::string whole = content_of(file(name));
    const std::size_t header = header_of(name, whole);
    for (std::size_t at = 0; at < header; ++at) {
      for (const int mask : {1 << (random() % 8), 0xff}) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ mask);
        expect_fall_back_with(name, whole, bytes, "flipped at " + std::to_string(at));
      }
    }
    for (int i = 0; header < whole.size() && i < 50; ++i) {
      std::string bytes = whole;
      const std::size_t at = header + random() % (whole.size() - header);
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      expect_fall_back_with(name, whole, bytes, "flipped at " + std::to_string(at));
    }
    if (HasFailure()) return;
  }
  std::cout << "  flipped bytes that were found: " << tried_ << "\n";
  EXPECT_GT(tried_, 2'000);
}

TEST_F(Damage, AFileCutAtAnyLengthOrLonger) {
  for (const std::string& name : names_) {
    const std::string whole = content_of(file(name));
    const std::size_t header = header_of(name, whole);
    for (std::size_t size = 0; size < whole.size(); size += size < header ? 1 : 7) {
      expect_fall_back_with(name, whole, whole.substr(0, size), "cut to " + std::to_string(size));
    }
    expect_fall_back_with(name, whole, whole + '\0', "with a byte behind it");
    if (HasFailure()) return;
  }
  std::cout << "  cut files that were found: " << tried_ << "\n";
  EXPECT_GT(tried_, 1'000);
}

TEST_F(Damage, AFileThatIsAnothersOrIsGoneOrIsNoFile) {
  for (const std::string& name : names_) {
    const std::string whole = content_of(file(name)), other = content_of(file(name, 1));
    if (other != whole) expect_fall_back_with(name, whole, other, "of another checkpoint");
    const std::vector<std::pair<std::string, std::function<void()>>> replacements = {
        {"gone", [] {}},
        {"a folder", [&] { fs::create_directory(file(name)); }},
        {"a symbolic link", [&] { fs::create_symlink(file(name, 1), file(name)); }},
        {"a pipe", [&] { EXPECT_EQ(mkfifo(file(name).c_str(), 0600), 0); }}};
    for (const auto& [what, replace] : replacements) {
      fs::remove(file(name));
      replace();
      expect_fall_back(name + " is " + what);
      fs::remove(file(name));
      write(file(name), whole);
    }
  }
  EXPECT_GE(tried_, 28);
}

TEST_F(Damage, AWholeCheckpointThatIsAnothersOrIsGoneOrIsNoFolder) {
  const fs::path aside = room_ / "aside";
  fs::rename(folder(2), aside);
  expect_fall_back("the folder is gone");
  fs::copy(folder(1), folder(2), fs::copy_options::recursive);
  expect_fall_back("the folder is a copy of the one before");
  fs::remove_all(folder(2));
  fs::create_directory_symlink(aside, folder(2));
  expect_fall_back("the folder is a symbolic link");
  fs::remove(folder(2));
  write(folder(2), "x");
  expect_fall_back("the folder is a file");
}

}  // namespace
}  // namespace ktrdr::worker::testing
