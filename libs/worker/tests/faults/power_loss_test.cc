// The power is cut at any moment of a training's life, checkpoints and database together: every state that
// the disk may be left in is opened again, and what was acknowledged must be there and whole. The same check
// must find a program that forgets an fsync, else it would prove nothing.
#include <atomic>
#include <iostream>
#include <thread>

#include "disk_history.h"
#include "fault_runner.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::worker::testing {
namespace {

namespace fs = std::filesystem;
using Kind = DiskOperation::Kind;

constexpr std::size_t kMostStates = 1'500;
constexpr std::size_t kMostMutantStates = 150;
constexpr std::uint32_t kSeed = 20261123;
constexpr int kAtOnce = 3;

class PowerLoss : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const ktrdr::testing::TemporaryFolder room;
    const fs::path place = room / "life";
    fs::create_directories(place);
    const Ended ended = run_traced(
        place, {"open", "begin", "save", "save", "save", "hand_over", "restore", "save", "finish"},
        {"-y", "-xx", "-s", "10000000", "-e",
         "trace=openat,mkdir,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,unlinkat,rmdir"});
    ASSERT_EQ(ended.status, 0) << ended.complained;
    history_ = DiskHistory::parse(content_of(place.string() + ".log"), place.string());
    std::string said;
    for (const DiskOperation& operation : history_.operations())
      said += operation.kind == Kind::kSaid ? operation.bytes : "";
    ASSERT_EQ(said, ended.said) << "the log tells the whole story";
  }

  // The stories of the states in which something was lost.
  std::vector<std::string> losses(const DiskHistory& history, std::size_t most,
                                  std::size_t* checked = nullptr) {
    const std::vector<CrashState> states = history.crash_states(most, kSeed);
    if (checked != nullptr) *checked = states.size();
    std::vector<std::string> stories(states.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&](int number) {
      const fs::path place = room_ / std::to_string(number);
      for (std::size_t i = next++; i < states.size(); i = next++) {
        states[i].write_to(place);
        const std::string problem = problem_of(place, states[i].said);
        if (!problem.empty()) stories[i] = problem + "\n" + states[i].said + states[i].story;
      }
    };
    {
      std::vector<std::jthread> threads;
      for (int number = 0; number < kAtOnce; ++number) threads.emplace_back(work, number);
    }
    std::erase(stories, "");
    return stories;
  }

  static std::string problem_of(const fs::path& place, const std::string& said) {
    const auto station = Station::open(place);
    if (!station.ok()) return station.error().describe();
    return (*station)->problem(promised_by(said, {}));
  }

  static inline DiskHistory history_;
  ktrdr::testing::TemporaryFolder room_;
};

TEST_F(PowerLoss, AtAnyMomentNothingAcknowledgedIsLost) {
  std::size_t checked = 0;
  const auto lost = losses(history_, kMostStates, &checked);
  std::cout << "  states after a power cut: " << checked << " checked, of " << history_.operations().size()
            << " operations; lost: " << lost.size() << "\n";
  EXPECT_GE(checked, 1'000U);
  EXPECT_TRUE(lost.empty()) << lost.front();
}

// Each is what the disk would see of a program with that mistake.
TEST_F(PowerLoss, AProgramThatForgetsAnFsyncIsFound) {
  const auto below = [](const DiskOperation& operation, const char* part) {
    return operation.kind == Kind::kSync && operation.path.find(part) != std::string::npos;
  };
  const std::vector<std::pair<std::string, std::function<bool(const DiskOperation&)>>> mistakes = {
      {"no fsync of a checkpoint's files",
       [&](const auto& done) { return below(done, "/checkpoints/") && !done.on_folder; }},
      {"no fsync of a checkpoint's folder",
       [&](const auto& done) { return below(done, ".tmp") && done.on_folder; }},
      {"no fsync after the rename",
       [&](const auto& done) {
         return below(done, "/checkpoints/op_training_1") && done.on_folder &&
                done.path.find(".tmp") == std::string::npos;
       }},
      {"no fsync of a model", [&](const auto& done) { return below(done, "/models/"); }},
      {"SQLite with synchronous=NORMAL", [&](const auto& done) { return below(done, "ktrdr.db-wal"); }}};
  for (const auto& [name, leave_out] : mistakes) {
    const DiskHistory mutant = history_.without(leave_out);
    ASSERT_LT(mutant.operations().size(), history_.operations().size()) << name;
    std::size_t checked = 0;
    const auto lost = losses(mutant, kMostMutantStates, &checked);
    std::cout << "  " << name << ": lost in " << lost.size() << " of " << checked << " states\n";
    EXPECT_FALSE(lost.empty()) << name << " was not noticed";
  }
}

}  // namespace
}  // namespace ktrdr::worker::testing
