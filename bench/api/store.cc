// What the embedded store alone can do: durable changes on a disk, and short lists of a million rows.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "benches.h"
#include "kept_clients.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "programs.h"
#include "rows.h"

namespace ktrdr::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kClients = 64;
constexpr int kRounds = 3;
constexpr std::chrono::milliseconds kWarmUp(300), kRound(1000);
constexpr double kTransitionsBound = 5000;

constexpr int kRows = 1'000'000;
constexpr std::size_t kWarmUpPages = 100, kPages = 600;
constexpr double kListBoundMs = 10;
constexpr std::array kStatuses = {"completed", "failed", "cancelled", "running", "pending"};

// Resumes, claims and fails its own operation; each is durable when it is answered, and counts.
std::int64_t change_until(storage::OperationsRepository& store, const OperationId& id, Attempt& attempt,
                          Stopwatch::time_point end) {
  std::int64_t accepted = 0;
  const auto count = [&accepted](const auto& result) {
    CHECK(result.ok(), "nobody else changes this operation");
    ++accepted;
  };
  while (Stopwatch::now() < end) {
    count(store.try_resume(id, false, {}, std::nullopt));
    const storage::Fence fence{++attempt, {"worker-1"}};
    count(store.claim(id, fence, "alpha"));
    count(store.fail(id, fence, "out of memory"));
  }
  return accepted;
}

double changes_per_second(storage::OperationsRepository& store, std::vector<Attempt>& attempts,
                          std::chrono::milliseconds length) {
  std::atomic<std::int64_t> accepted = 0;
  const auto begin = Stopwatch::now();
  {
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      clients.emplace_back([&, i] {
        accepted += change_until(store, {copy_id(static_cast<int>(i) + 1)}, attempts[i], begin + length);
      });
    }
  }
  return static_cast<double>(accepted) / seconds_since(begin);
}

// What one sync of a few pages that were appended costs here and now: no store can be faster than its disk.
double sync_ms(const fs::path& folder) {
  const int file = open((folder / "probe").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string pages(16384, 'x');
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const auto begin = Stopwatch::now();
    CHECK(
        write(file, pages.data(), pages.size()) == static_cast<ssize_t>(pages.size()) && fdatasync(file) == 0,
        "the disk takes a few pages");
    times.push_back(1000 * seconds_since(begin));
  }
  close(file);
  return median(times);
}

std::string page_request(std::size_t page, std::mt19937& random) {
  const std::string status = kStatuses[page % kStatuses.size()];
  const int after = std::uniform_int_distribution(kRows / 10, kRows)(random);
  return get_request("/api/v1/operations?status=" + status + "&limit=50&cursor=" + copy_time(after) + "," +
                     copy_id(after));
}

// 50 rows, and the place of the next page.
bool is_full_page(const Answer& answer) {
  std::size_t rows = 0;
  for (auto at = answer.body.find("\"operation_id\""); at != std::string::npos;
       at = answer.body.find("\"operation_id\"", at + 1)) {
    ++rows;
  }
  return answer.status == 200 && rows == 50;
}

}  // namespace

void durable_transitions(Figures& figures) {
  const TemporaryFoldersIn disk(on_disk());
  const testing::TemporaryFolder folder;
  SystemClock clock;
  const auto store = storage::open_sqlite_repository(folder / "ktrdr.db", clock);
  CHECK(store.ok(), "a new folder takes a database");
  add_failed(**store, "op_template");
  run_in_sqlite(folder / "ktrdr.db", failed_copies("op_template", kClients));
  std::vector<Attempt> attempts(kClients, 1);
  changes_per_second(**store, attempts, kWarmUp);
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) {
    std::fprintf(stderr, "  a sync takes %.2f ms on this disk;", sync_ms(folder.path()));
    rounds.push_back(changes_per_second(**store, attempts, kRound));
    std::fprintf(stderr, " %.0f changes a second\n", rounds.back());
  }
  figures.at_least("durable_transitions_per_second_sqlite", median(rounds), kTransitionsBound);
}

void fill_with_a_million(const fs::path& data_folder) {
  const auto begin = Stopwatch::now();
  fs::create_directories(data_folder);
  const fs::path file = OurServer::database_file(data_folder);
  SystemClock clock;
  {
    const auto store = storage::open_sqlite_repository(file, clock);
    CHECK(store.ok(), "a new folder takes a database");
    add_failed(**store, "op_template");
  }
  fill_sqlite(file, years_of_operations("op_template", kRows));
  std::fprintf(stderr, "  a million operations made in %.1f s\n", seconds_since(begin));
}

void list_pages(Figures& figures, const fs::path& data_folder) {
  const OurServer server("", data_folder);
  KeptClients client({server.port()}, 1);
  std::mt19937 random(7);
  std::size_t sent = 0, full = 0;
  std::vector<double> times;
  client.run(
      [&](std::size_t) {
        if (sent == kWarmUpPages + kPages) return std::optional<std::string>();
        return std::optional(page_request(sent++, random));
      },
      [&](std::size_t, const Answer& answer) {
        full += is_full_page(answer) ? 1U : 0U;
        if (sent > kWarmUpPages) times.push_back(1000 * answer.seconds);
      });
  if (full != sent) figures.broken("only " + std::to_string(full) + " pages were full");
  std::fprintf(stderr, "  median %.2f ms\n", median(times));
  figures.below("list_50_of_a_million_p99_ms", quantile(times, 0.99), kListBoundMs);
}

}  // namespace ktrdr::bench
