// Every system call of what happens to a checkpoint, under fire: station_program is killed before it, or the
// call fails, is interrupted, or writes less than it was asked to. Afterwards another process opens the same
// folder: what was acknowledged must be there and whole, what a row names with it, and somebody else must be
// able to go on.
//
// A point is one fault at one call. Each sweep prints how often its faults really struck; none is a failure,
// and so are fewer than 2,000 in all.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <mutex>
#include <set>
#include <thread>

#include "fault_runner.h"
#include "ktrdr/core/log.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::worker::testing {
namespace {

namespace fs = std::filesystem;
using ktrdr::testing::IsOk;

// A sanitizer's runtime opens files and maps memory while the program runs. A kill is as good there, but an
// error that strikes the runtime says nothing about us.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kErrorsMayStrikeTheSanitizer = true;
#else
constexpr bool kErrorsMayStrikeTheSanitizer = false;
#endif

constexpr int kAtOnce = 6;
constexpr int kFewest = 2'000;

struct Verb {
  std::string name, start;  // in which of Starts it is done
  bool writes = false;      // a checkpoint or a model: where a disk can be full
};

const std::vector<Verb> kVerbs = {{"open", "running"},         {"save", "running", true},
                                  {"finish", "running", true}, {"restore", "waiting"},
                                  {"sweep", "waiting"},        {"remove", "cancelled"}};

// Calls that say nothing about files; how many futexes there are is the scheduler's matter.
const std::set<std::string> kNotOurs = {
    "futex", "restart_syscall", "rt_sigprocmask",  "rt_sigaction", "sched_yield", "set_robust_list",
    "rseq",  "clone3",          "clock_nanosleep", "exit"};

// One fault at the n-th call of that name in one thread.
struct Point {
  Verb verb;
  std::string call, what;
  int when = 0;
};

std::string describe(const Point& point) {
  return point.verb.name + ": " + point.what + " at " + point.call + " " + std::to_string(point.when);
}

struct Struck {
  bool struck = false;
  Ended ended;
  std::string log;
};

// Folders as a killed process leaves them: copied while the database is open, so its log is still to be read.
class Starts {
 public:
  Starts() {
    auto station = Station::open(folder_ / "live").value();
    CHECK(station->begin().ok() && station->save().ok() && station->save().ok() && station->save().ok(),
          "an idle disk");
    keep("running");
    CHECK(station->stop().ok(), "an idle disk");
    keep("cancelled");
    CHECK(station->rows().try_resume(Station::operation(), false, {}, std::nullopt).ok(),
          "it has a checkpoint");
    leave_remains();
    keep("waiting");
  }

  void copy(const std::string& name, const fs::path& to) const {
    fs::remove_all(to);
    fs::copy(folder_ / name, to, fs::copy_options::recursive);
  }
  Promised promised(const Verb& verb) const {
    if (verb.name == "remove") return {.created = true};  // what goes may be gone
    return {.created = true, .saved = CheckpointRef{1, 2}};
  }

 private:
  void keep(const std::string& name) { copy("live", folder_ / name); }
  // What dead writers and removers leave: for the sweep.
  void leave_remains() {
    const fs::path of = folder_ / "live" / "checkpoints" / Station::operation().value;
    for (const char* remains : {"1-0.0badcafe.deleted", "1-7.0badcafe.tmp", "1-8"}) {
      fs::copy(of / "1-2", of / remains, fs::copy_options::recursive);
    }
    fs::remove(of / "1-7.0badcafe.tmp" / "manifest.json");
  }

  ktrdr::testing::TemporaryFolder folder_;
};

// How often each fault struck, over all tests of this program.
class Ledger : public ::testing::Environment {
 public:
  void add(const std::string& verb, const std::string& what, bool struck) {
    const std::lock_guard lock(mutex_);
    auto& [hits, tries] = table_[{what, verb}];
    hits += struck ? 1 : 0;
    ++tries;
  }
  void sweep_done() { ++sweeps_; }
  void TearDown() override {
    int total = 0;
    for (const auto& [key, count] : table_) {
      std::cout << "  " << key.first << " in " << key.second << ": struck " << count.first << " times in "
                << count.second << " runs\n";
      EXPECT_GT(count.first, 0) << key.first << " never struck in " << key.second;
      total += count.first;
    }
    std::cout << "  faults that struck: " << total << "\n";
    if (sweeps_ == 3) {
      EXPECT_GE(total, kFewest) << "a sweep that strikes less proves less";
    }
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::pair<int, int>> table_;
  int sweeps_ = 0;
};

Ledger& ledger() {
  static Ledger* const ledger = [] {
    start_logging("worker_faults_test", LogLevel::kError);
    if (access("/dev/shm", W_OK) == 0)
      setenv("TMPDIR", "/dev/shm", 1);  // no power is cut: memory is durable enough
    return static_cast<Ledger*>(::testing::AddGlobalTestEnvironment(new Ledger));  // gtest owns it
  }();
  return *ledger;
}
[[maybe_unused]] const Ledger& made_before_main = ledger();

class EverySystemCall : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { starts_ = new Starts; }
  static void TearDownTestSuite() { delete std::exchange(starts_, nullptr); }

  // ---- where a verb can be struck ----

  // Name and number of each call, as strace counts them: for each thread on its own.
  std::set<std::pair<std::string, int>> calls_of(const Verb& verb) {
    const fs::path place = room_ / "counted";
    starts_->copy(verb.start, place);
    EXPECT_EQ(run_traced(place, {verb.name}, {}).status, 0) << verb.name;
    std::map<std::string, std::map<std::string, int>> counts;
    std::set<std::pair<std::string, int>> calls;
    std::istringstream lines(content_of(place.string() + ".log"));
    for (std::string line; std::getline(lines, line);) {
      const auto [thread, call] = parse(line);
      if (!call.empty()) calls.emplace(call, ++counts[thread][call]);
    }
    EXPECT_FALSE(calls.empty());
    return calls;
  }

  // "1234 openat(AT_FDCWD, …" is thread 1234, call openat. The second half of an interrupted line is neither.
  static std::pair<std::string, std::string> parse(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::size_t start = line.find_first_not_of(' ', space);
    const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", start);
    if (end == std::string::npos || end == start || line[end] != '(') return {};
    return {line.substr(0, space), line.substr(start, end - start)};
  }

  // Each of these calls in each verb, or in those that write only.
  std::vector<Point> points(const std::string& what, const std::set<std::string>& only, bool writing_only) {
    std::vector<Point> points;
    for (const Verb& verb : kVerbs) {
      if (writing_only && !verb.writes) continue;
      for (const auto& [call, when] : calls_of(verb)) {
        const bool wanted = only.empty() ? !kNotOurs.contains(call) : only.contains(call);
        if (wanted) points.push_back({verb, call, what, when});
      }
    }
    return points;
  }

  // ---- striking ----

  static Struck strike_with_strace(const Point& point, const fs::path& place) {
    const std::string inject = point.call + ":" + point.what + ":when=" + std::to_string(point.when);
    Struck struck{.ended = run_traced(place, {point.verb.name},
                                      {"-e", "trace=" + point.call, "-e", "inject=" + inject}),
                  .log = content_of(place.string() + ".log")};
    struck.struck = struck.ended.killed || struck.log.find("(INJECTED)") != std::string::npos;
    return struck;
  }

  static Struck strike_with_short_writes(const Point& point, const fs::path& place) {
    const std::string report = place.string() + ".writes";
    Struck struck{.ended = run_program(station_command(place, {point.verb.name}), place,
                                       {{"LD_PRELOAD", SHORT_WRITES},
                                        {"SHORT_WRITE_AT", std::to_string(point.when)},
                                        {"SHORT_WRITES", point.what},
                                        {"SHORT_WRITE_REPORT", report}})};
    std::istringstream numbers(content_of(report));
    long count = 0, hits = 0;
    numbers >> count >> hits;
    struck.struck = hits > 0;
    struck.log = std::to_string(count);
    return struck;
  }

  // What must be there after anything that happened. Going on is a whole life: it is tried at every third
  // point.
  static void expect_nothing_lost(const Point& point, const Struck& struck, const fs::path& place,
                                  bool go_on) {
    const Promised promised = promised_by(struck.ended.said, starts_->promised(point.verb));
    auto station = Station::open(place);
    ASSERT_THAT(station, IsOk()) << describe(point);
    EXPECT_EQ((*station)->problem(promised), "") << describe(point) << "\n" << struck.log;
    if (!go_on) return;
    EXPECT_EQ((*station)->problem_going_on(), "") << describe(point) << "\n" << struck.log;
  }

  template <class Strike, class Judge>
  void sweep(const std::vector<Point>& points, Strike strike, Judge judge) {
    std::atomic<std::size_t> next = 0;
    const auto work = [&](int number) {
      const fs::path place = room_ / std::to_string(number);
      for (std::size_t i = next++; i < points.size(); i = next++) {
        starts_->copy(points[i].verb.start, place);
        const Struck struck = strike(points[i], place);
        ledger().add(points[i].verb.name, points[i].what, struck.struck);
        judge(points[i], struck);
        expect_nothing_lost(points[i], struck, place, i % 3 == 0);
      }
    };
    std::vector<std::jthread> threads;
    for (int number = 0; number < kAtOnce; ++number) threads.emplace_back(work, number);
  }

  static inline Starts* starts_ = nullptr;
  ktrdr::testing::TemporaryFolder room_;
};

TEST_F(EverySystemCall, KilledBeforeItNothingAcknowledgedIsLost) {
  const auto judge = [](const Point& point, const Struck& struck) {
    EXPECT_TRUE(struck.ended.killed || struck.ended.status == 0)
        << describe(point) << struck.ended.complained;
  };
  sweep(points("signal=KILL", {}, false), &strike_with_strace, judge);
  ledger().sweep_done();
}

// Which calls can fail so. Reading ones and those on locks and handles: where they do something new only.
struct ErrorsAt {
  std::string what;
  std::set<std::string> calls;
  bool writing_only;
};
const std::vector<ErrorsAt> kErrors = {
    {"error=EIO",
     {"openat", "mkdir", "rename", "write", "pwrite64", "ftruncate", "unlink", "unlinkat", "rmdir", "fsync",
      "fdatasync", "getdents64", "madvise"},
     false},
    {"error=EIO", {"pread64", "newfstatat", "close"}, true},
    {"error=ENOSPC",
     {"openat", "mkdir", "rename", "write", "pwrite64", "ftruncate", "unlinkat", "fsync", "fdatasync"},
     true},
    {"error=EINTR",
     {"openat", "mkdir", "rename", "write", "pwrite64", "ftruncate", "unlinkat", "fsync", "fdatasync",
      "pread64", "getdents64"},
     true}};

TEST_F(EverySystemCall, ThatFailsOrIsInterruptedIsReportedOrDoneAgainAndNothingAcknowledgedIsLost) {
  if (kErrorsMayStrikeTheSanitizer)
    GTEST_SKIP() << "an error could strike the sanitizer instead of the store";
  std::vector<Point> all;
  for (const auto& [what, calls, writing_only] : kErrors) {
    for (Point& point : points(what, calls, writing_only)) all.push_back(std::move(point));
  }
  std::atomic<int> done_again = 0;
  sweep(all, &strike_with_strace, [&](const Point& point, const Struck& struck) {
    EXPECT_TRUE(struck.ended.status == 0 || struck.ended.status == 4)
        << describe(point) << struck.ended.complained;
    if (point.what == "error=EINTR" && struck.struck && struck.ended.status == 0) ++done_again;
  });
  EXPECT_GT(done_again, 50) << "an interrupted open, write or fsync is done again";
  ledger().sweep_done();
}

TEST_F(EverySystemCall, ThatWritesOnlyAPartIsFinishedOrReportedAndNothingAcknowledgedIsLost) {
  if (kErrorsMayStrikeTheSanitizer) GTEST_SKIP() << "its runtime must be loaded first";
  std::vector<Point> points;
  for (const Verb& verb : kVerbs) {
    if (!verb.writes) continue;
    const fs::path place = room_ / "counted";
    starts_->copy(verb.start, place);
    const int writes = std::stoi(strike_with_short_writes({verb, "write", "once", 0}, place).log);
    for (int when = 1; when <= writes; ++when) {
      points.push_back({verb, "write", "once", when});
      points.push_back({verb, "write", "full", when});
    }
  }
  sweep(points, &strike_with_short_writes, [](const Point& point, const Struck& struck) {
    EXPECT_TRUE(struck.ended.status == 0 || struck.ended.status == 4)
        << describe(point) << struck.ended.complained;
    if (point.what == "once") {
      EXPECT_EQ(struck.ended.status, 0) << describe(point) << struck.ended.complained;
    }
  });
  ledger().sweep_done();
}

}  // namespace
}  // namespace ktrdr::worker::testing
