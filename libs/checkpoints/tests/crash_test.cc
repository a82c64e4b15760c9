// The write protocol under fire: checkpoint_store_program runs under strace, which kills it before its n-th
// system call, or makes that call fail, for every n. Afterwards everything that was there is whole, and what
// was being written is whole or absent. A sweep that never struck is a failure.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::checkpoints::testing {
namespace {

namespace fs = std::filesystem;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;

using Words = std::vector<std::string>;
using Counts = std::map<std::string, int>;  // calls by name

// A sanitizer's runtime opens files and writes to pipes while the program runs. A kill or an interruption is
// as good there, but an error that strikes the runtime says nothing about the store.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kErrorsMayStrikeTheSanitizer = true;
#else
constexpr bool kErrorsMayStrikeTheSanitizer = false;
#endif

struct Outcome {
  int status = -1;      // exit status, or -1 when it was killed
  bool killed = false;  // by SIGKILL
  std::string log;      // strace's
  bool injected() const { return killed || log.find("(INJECTED)") != std::string::npos; }
};

struct Fault {
  std::string call;
  int when = 0;
  std::string what;  // "signal=KILL", "error=EIO"
  bool from_then_on = false;
};

int run_program(const Words& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // the leak check itself needs ptrace
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

std::string content_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A line of strace's log reads "1234 openat(AT_FDCWD, …": the name stands between the number and the
// parenthesis.
Counts count_calls(const std::string& log) {
  Counts counts;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find_first_not_of("0123456789 ");
    const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", start);
    if (end != std::string::npos && end > start && line[end] == '(')
      ++counts[line.substr(start, end - start)];
  }
  return counts;
}

class Crash : public ::testing::Test {
 protected:
  // `command` is the program's command line without its name and root.
  Outcome run(const Words& command, const Words& strace_options) {
    const std::string log = root_ / "strace.log";
    Words words = {"strace", "-f", "-qq", "-o", log};
    words.insert(words.end(), strace_options.begin(), strace_options.end());
    words.insert(words.end(), {CHECKPOINT_STORE_PROGRAM, command[0], store_root().string()});
    words.insert(words.end(), command.begin() + 1, command.end());
    const int status = run_program(words);
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 127) << "strace must be installed: see ./dev";
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
            content_of(log)};
  }
  Outcome run(const Words& command, const Fault& fault) {
    const std::string when = ":when=" + std::to_string(fault.when) + (fault.from_then_on ? "+" : "");
    return run(command,
               {"-e", "trace=" + fault.call, "-e", "inject=" + fault.call + ":" + fault.what + when});
  }

  // The n-th calls of each kind that belong to the command and not to the start of the program.
  std::vector<Fault> faults_of(const Words& command, const std::string& what,
                               const std::set<std::string>& only = {}) {
    Words nothing = command;
    nothing[0] = "nothing";
    const Counts start = count_calls(run(nothing, Words{}).log);
    std::vector<Fault> faults;
    for (const auto& [call, count] : count_calls(run(command, Words{}).log)) {
      if (!only.empty() && !only.contains(call)) continue;
      const auto before = start.find(call);
      for (int n = before == start.end() ? 1 : before->second + 1; n <= count; ++n)
        faults.push_back({call, n, what});
    }
    return faults;
  }

  fs::path store_root() const { return root_ / "store"; }
  Words command(const std::string& verb, CheckpointRef ref, int seed) const {
    return {verb, kOperation.value, std::to_string(ref.attempt), std::to_string(ref.sequence),
            std::to_string(seed)};
  }
  void put(CheckpointRef ref, int seed) { ASSERT_THAT(put_sample(store_, kOperation, ref, seed), IsOk()); }
  void expect_whole(CheckpointRef ref, int seed) {
    const auto loaded = store_.load(kOperation, ref);
    ASSERT_THAT(loaded, IsOk());
    EXPECT_TRUE(SampleCheckpoint(seed).equals(*loaded));
  }
  bool is_absent(CheckpointRef ref) {
    const auto loaded = store_.load(kOperation, ref);
    return !loaded.ok() && loaded.error().code == ErrorCode::kCheckpointNotFound;
  }
  std::set<std::string> names_in(const fs::path& folder) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    return names;
  }
  static void report(const char* what, int struck, std::size_t tried) {
    std::cout << "  " << what << ": struck " << struck << " times in " << tried << " runs\n";
    EXPECT_GT(struck, 0);
  }

  const OperationId kOperation{"op_training_1"};
  const std::set<std::string> kFileCalls = {"mkdir", "openat", "newfstatat", "write", "fsync", "rename"};
  ktrdr::testing::TemporaryFolder root_;
  FileCheckpointStore store_ = FileCheckpointStore::open(root_ / "store").value();
};

TEST_F(Crash, KilledBeforeAnyCallOfAPutTheNewIsWholeOrAbsentAndTheOldIsWhole) {
  put({1, 0}, 1);
  int killed = 0;
  std::int64_t sequence = 1;
  int whole = 0;
  const std::vector<Fault> faults = faults_of(command("put", {1, 1}, 2), "signal=KILL");
  for (const Fault& fault : faults) {
    const CheckpointRef ref{1, ++sequence};
    const Outcome outcome = run(command("put", ref, 2), fault);
    killed += outcome.killed;
    expect_whole({1, 0}, 1);
    if (outcome.status == 0 || !is_absent(ref)) ++whole, expect_whole(ref, 2);
    ASSERT_TRUE(outcome.killed || outcome.status == 0) << fault.call << " " << fault.when;
  }
  report("kills of put", killed, faults.size());
  EXPECT_GE(killed, 40);  // six files of create, write, fsync, and what is around them
  EXPECT_GT(whole, 0);    // some struck after the rename
  EXPECT_LT(whole, killed);
  EXPECT_GT(store_.remove_leftovers(kOperation, [](CheckpointRef) { return false; }).value(), 0U);
  for (const std::string& name : names_in(store_root() / kOperation.value)) {
    EXPECT_TRUE(CheckpointRef::parse(name).has_value()) << name;
  }
}

TEST_F(Crash, KilledInTheFirstPutOfAnOperationTheNextOneWorks) {
  int killed = 0;
  const std::vector<Fault> faults =
      faults_of(command("put", {1, 0}, 1), "signal=KILL", {"mkdir", "fsync", "rename"});
  for (const Fault& fault : faults) {
    ASSERT_THAT(store_.remove_operation(kOperation), IsOk());
    killed += run(command("put", {1, 0}, 1), fault).killed;
    if (!is_absent({1, 0})) expect_whole({1, 0}, 1);
    put({2, 1}, 2);  // the next attempt
    expect_whole({2, 1}, 2);
  }
  report("kills of a first put", killed, faults.size());
}

TEST_F(Crash, KilledInARemovalTheCheckpointIsWholeOrAbsentAndRepeatingFinishesIt) {
  put({1, 0}, 1);
  put({1, 1}, 2);
  int killed = 0;
  const std::vector<Fault> faults = faults_of(command("remove", {1, 1}, 2), "signal=KILL");
  for (const Fault& fault : faults) {
    if (is_absent({1, 1})) put({1, 1}, 2);
    killed += run(command("remove", {1, 1}, 2), fault).killed;
    if (!is_absent({1, 1})) expect_whole({1, 1}, 2);
    expect_whole({1, 0}, 1);
    ASSERT_THAT(store_.remove(kOperation, {1, 1}), IsOk());
    EXPECT_EQ(names_in(store_root() / kOperation.value), std::set<std::string>{"1-0"});
  }
  report("kills of remove", killed, faults.size());
}

TEST_F(Crash, KilledInTheRemovalOfAnOperationNoneOfItsCheckpointsIsTorn) {
  int killed = 0;
  put({1, 0}, 1);
  const std::vector<Fault> faults = faults_of(command("remove_operation", {1, 0}, 1), "signal=KILL",
                                              {"rename", "fsync", "unlinkat", "openat"});
  for (const Fault& fault : faults) {
    if (is_absent({1, 0})) put({1, 0}, 1);
    if (is_absent({2, 1})) put({2, 1}, 2);
    killed += run(command("remove_operation", {1, 0}, 1), fault).killed;
    if (!is_absent({1, 0})) expect_whole({1, 0}, 1);
    if (!is_absent({2, 1})) expect_whole({2, 1}, 2);
    ASSERT_THAT(store_.remove_operation(kOperation), IsOk());
    EXPECT_TRUE(store_.operations()->empty());
  }
  report("kills of remove_operation", killed, faults.size());
}

TEST_F(Crash, KilledWhilePublishingAModelTheSameAttemptPublishesAgain) {
  int killed = 0;
  auto models = ModelStore::open(store_root());
  const SampleCheckpoint sample(4);
  const std::vector<FileContent> files = sample.content(kOperation, {3, 0}).files;
  const std::vector<Fault> faults =
      faults_of(command("publish", {3, 0}, 4), "signal=KILL", {"mkdir", "fsync", "rename"});
  for (const Fault& fault : faults) {
    fs::remove_all(store_root() / kOperation.value);
    killed += run(command("publish", {3, 0}, 4), fault).killed;
    EXPECT_THAT(models->publish(kOperation, 3, files), IsOk()) << fault.call << " " << fault.when;
    ASSERT_THAT(models->publish(kOperation, 4, files), IsOk());  // cleans up after attempt 3
    EXPECT_EQ(names_in(store_root() / kOperation.value), (std::set<std::string>{"3", "4"}));
  }
  report("kills of publish", killed, faults.size());
}

TEST_F(Crash, AnyCallThatFailsIsAnErrorThatLeavesNothingBehind) {
  if (kErrorsMayStrikeTheSanitizer)
    GTEST_SKIP() << "an error could strike the sanitizer instead of the store";
  put({1, 0}, 1);
  for (const char* what : {"error=ENOSPC", "error=EIO"}) {
    ASSERT_THAT(store_.remove(kOperation, {1, 1}), IsOk());
    int injected = 0;
    const std::vector<Fault> faults = faults_of(command("put", {1, 1}, 2), what, kFileCalls);
    for (const Fault& fault : faults) {
      ASSERT_THAT(store_.remove(kOperation, {1, 1}), IsOk());
      const Outcome outcome = run(command("put", {1, 1}, 2), fault);
      if (!outcome.injected()) continue;
      ++injected;
      EXPECT_EQ(outcome.status, 4) << fault.call << " " << fault.when << " " << what;
      EXPECT_EQ(names_in(store_root() / kOperation.value), std::set<std::string>{"1-0"}) << outcome.log;
      expect_whole({1, 0}, 1);
    }
    report(what, injected, faults.size());
    EXPECT_GE(injected, 30);
  }
}

TEST_F(Crash, AnInterruptedCallIsDoneAgain) {
  put({1, 0}, 1);
  std::int64_t sequence = 1;
  int injected = 0;
  const std::vector<Fault> faults =
      faults_of(command("put", {1, 1}, 2), "error=EINTR", {"openat", "write", "fsync"});
  for (const Fault& fault : faults) {
    const CheckpointRef ref{1, ++sequence};
    const Outcome outcome = run(command("put", ref, 2), fault);
    injected += outcome.injected();
    EXPECT_EQ(outcome.status, 0) << fault.call << " " << fault.when;
    expect_whole(ref, 2);
  }
  report("EINTR", injected, faults.size());
}

TEST_F(Crash, ADiskOnWhichNothingCanBeSyncedAcknowledgesNothing) {
  put({1, 0}, 1);
  const Outcome outcome = run(command("put", {1, 1}, 2), Words{"-e", "inject=fsync:error=EIO"});
  EXPECT_EQ(outcome.status, 4);
  EXPECT_TRUE(is_absent({1, 1}));
  expect_whole({1, 0}, 1);
}

TEST_F(Crash, AWriteThatLiesIsFoundByLoading) {
  if (kErrorsMayStrikeTheSanitizer)
    GTEST_SKIP() << "an error could strike the sanitizer instead of the store";
  int injected = 0, found = 0;
  std::int64_t sequence = 0;
  for (const Fault& fault : faults_of(command("put", {9, 0}, 2), "retval=1", {"write"})) {
    const CheckpointRef ref{1, ++sequence};
    const Outcome outcome = run(command("put", ref, 2), fault);  // says that one byte was written; it was not
    injected += outcome.injected();
    if (outcome.status == 0) found += store_.load(kOperation, ref).ok() ? 0 : 1;
  }
  EXPECT_EQ(found, injected);
  report("lost writes", injected, static_cast<std::size_t>(sequence));
}

TEST_F(Crash, ALoadWhoseCallsFailIsAnErrorAndNeverAWrongCheckpoint) {
  put({1, 0}, 1);
  int injected = 0;
  std::size_t tried = 0;
  for (const char* what : {"error=EIO", "error=EMFILE", "error=EFAULT"}) {
    for (Fault fault : faults_of(command("load", {1, 0}, 1), what, {"openat", "newfstatat", "madvise"})) {
      fault.from_then_on = fault.call == "madvise";  // pages that can't be read once are read again
      const Outcome outcome = run(command("load", {1, 0}, 1), fault);
      ++tried;
      injected += outcome.injected();
      EXPECT_EQ(outcome.status, 4) << fault.call << " " << fault.when << " " << what;
    }
  }
  report("failing loads", injected, tried);
}

TEST_F(Crash, APageThatCanNotBeReadOnceIsReadAgainBeforeACheckpointIsCalledDamaged) {
  put({1, 0}, 1);
  int injected = 0;
  const std::vector<Fault> faults = faults_of(command("load", {1, 0}, 1), "error=EIO", {"madvise"});
  for (const Fault& fault : faults) {
    const Outcome outcome = run(command("load", {1, 0}, 1), fault);
    injected += outcome.injected();
    EXPECT_EQ(outcome.status, 0) << fault.when;
  }
  report("one EIO of a page", injected, faults.size());
}

// Kills can't find a missing fsync, because the kernel survives them; the order of the calls can.
TEST_F(Crash, EveryFileIsSyncedBeforeTheRenameAndEveryFolderAfterItsChange) {
  const std::string log =
      run(command("put", {1, 0}, 1), Words{"-y", "-s", "0", "-e", "trace=mkdir,write,fsync,rename"}).log;
  const std::string folder = (store_root() / kOperation.value).string();
  const auto first = [&](const std::string& text) { return log.find(text); };
  const auto last = [&](const std::string& text) { return log.rfind(text); };
  const std::size_t rename = first("rename(\"");
  ASSERT_NE(rename, std::string::npos) << log;
  const std::size_t name = rename + std::string_view("rename(\"").size();
  const std::string temporary = log.substr(name, log.find('"', name) - name);
  ASSERT_TRUE(temporary.ends_with(".tmp")) << log;
  const std::size_t folder_synced = last("<" + temporary + ">)");
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "trainer.safetensors",
                           "best_model.safetensors", "strategy.yaml", "manifest.json"}) {
    const std::string open_file = "<" + temporary + "/" + file + ">";
    const std::size_t synced = last(open_file + ")");  // fsync(3<…>) is the only call that ends so
    ASSERT_NE(synced, std::string::npos) << file;
    EXPECT_LT(last(open_file + ","), synced) << file;  // its last write
    EXPECT_LT(synced, folder_synced) << file;
  }
  EXPECT_LT(folder_synced, rename);
  EXPECT_LT(rename, last("<" + folder + ">)"));
  EXPECT_LT(first("mkdir(\"" + folder + "\""), first("<" + store_root().string() + ">)"));
  EXPECT_LT(first("<" + store_root().string() + ">)"), rename);
  EXPECT_NE(last("<" + folder + ">)"), std::string::npos);
}

}  // namespace
}  // namespace ktrdr::checkpoints::testing
