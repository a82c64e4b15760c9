// A load generator: every simulated worker has a connection and an operation of its own and says every two
// seconds that it is alive, whether or not its last word was answered quickly: a time is counted from the
// moment when a request was due, not from when it could be sent. Some of them save checkpoints meanwhile.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <span>
#include <thread>

#include "benches.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "programs.h"

namespace ktrdr::bench {
namespace {

using std::chrono::duration;
using Moment = Stopwatch::time_point;

constexpr std::size_t kWorkers = 10'000;
constexpr std::size_t kSavers = 200;  // of the same operations, over connections of their own
constexpr std::chrono::microseconds kHeartbeat(2'000'000), kSave(4'000'000);
constexpr std::chrono::seconds kWarmUp(4), kMeasured(16);
constexpr int kMakers = 32;  // threads: the store writes many changes at once

std::string id_of(std::size_t worker) { return "op_" + std::to_string(worker); }
storage::Fence fence_of(std::size_t worker) { return {1, {"worker-" + std::to_string(worker)}}; }

void make_claimed_operations(const std::filesystem::path& file) {
  SystemClock clock;
  const auto store = storage::open_sqlite_repository(file, clock);
  CHECK(store.ok(), "a bench can write its own folder");
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> makers;
  for (int i = 0; i < kMakers; ++i) {
    makers.emplace_back([&] {
      for (std::size_t worker = next++; worker < kWorkers; worker = next++) {
        const auto created = (*store)->create(storage::testing::new_operation(id_of(worker)), std::nullopt);
        const auto claimed = (*store)->claim({id_of(worker)}, fence_of(worker), "simulated");
        CHECK(created.ok() && claimed.ok(), "a store takes the life of an operation");
      }
    });
  }
}

int running_operations(const std::filesystem::path& file) {
  SystemClock clock;
  const auto store = storage::open_sqlite_repository(file, clock);
  const auto page = store.ok() ? (*store)->list({.status = api::OperationStatus::kRunning, .limit = 1})
                               : Result<storage::OperationPage>(store.error());
  return page.ok() ? static_cast<int>(page->total_count) : 0;
}

std::string post(const std::string& path, const std::string& body) {
  return "POST /api/v1/operations/" + path +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string heartbeat_of(std::size_t worker) {
  return post(id_of(worker) + "/heartbeat", api::to_json(storage::testing::heartbeat(fence_of(worker))));
}

std::string save_of(std::size_t worker, std::int64_t sequence) {
  const auto parent = sequence == 0 ? std::nullopt : std::optional(CheckpointRef{1, sequence - 1});
  return post(id_of(worker) + "/checkpoints",
              api::to_json(api::CommitCheckpointRequest{
                  .attempt = 1,
                  .worker_id = fence_of(worker).worker.value,
                  .checkpoint = storage::testing::checkpoint({1, sequence}, parent)}));
}

struct Voice {
  int socket = -1;
  Moment due;
  bool is_waiting = false;  // for an answer
  std::string received;
  std::int64_t said = 0;
};

// Speaks for everybody, in one thread.
class Crowd {
 public:
  explicit Crowd(int port);
  ~Crowd();
  void speak_until(Moment end);

  std::vector<double> heartbeat_seconds, save_seconds;  // since the last clear()
  std::map<int, int> refused;                           // by status
  std::int64_t overdue = 0;  // words that were due while the one before had no answer yet

 private:
  void connect_to(int port);
  void speak_what_is_due(Moment now);
  void speak(std::size_t voice, Moment due);
  void listen(int timeout_ms);
  bool read_answer(Voice& voice);

  static bool is_saver(std::size_t voice) { return voice >= kWorkers; }

  int epoll_;
  std::vector<Voice> voices_;  // the workers', then the savers'
  std::multimap<Moment, std::size_t> schedule_;
};

Crowd::Crowd(int port) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  for (std::size_t i = 0; i < kWorkers + kSavers; ++i) connect_to(port);
  const auto begin = Stopwatch::now();
  for (std::size_t i = 0; i < voices_.size(); ++i) {
    const auto first = is_saver(i) ? kSave * (i - kWorkers) / kSavers : kHeartbeat * i / kWorkers;
    schedule_.emplace(begin + first, i);
  }
}

Crowd::~Crowd() {
  for (const Voice& voice : voices_) close(voice.socket);
  close(epoll_);
}

void Crowd::connect_to(int port) {
  Voice voice{.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(voice.socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
        "the server takes a connection of every worker");
  const int at_once = 1;
  setsockopt(voice.socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = voices_.size()}};
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, voice.socket, &event) == 0, "a socket can be watched");
  voices_.push_back(std::move(voice));
}

void Crowd::speak_until(Moment end) {
  while (Stopwatch::now() < end) {
    speak_what_is_due(Stopwatch::now());
    listen(1);
  }
}

void Crowd::speak_what_is_due(Moment now) {
  while (schedule_.begin()->first <= now) {
    const auto [due, i] = *schedule_.begin();
    schedule_.erase(schedule_.begin());
    schedule_.emplace(due + (is_saver(i) ? kSave : kHeartbeat), i);
    if (voices_[i].is_waiting) ++overdue;
    else speak(i, due);
  }
}

void Crowd::speak(std::size_t i, Moment due) {
  Voice& voice = voices_[i];
  const std::string request = is_saver(i) ? save_of(i - kWorkers, voice.said) : heartbeat_of(i);
  ++voice.said;
  voice.due = due;
  voice.is_waiting = true;
  const ssize_t sent = send(voice.socket, request.data(), request.size(), MSG_NOSIGNAL);
  CHECK(sent == static_cast<ssize_t>(request.size()), "a small request fits into a socket");
}

void Crowd::listen(int timeout_ms) {
  std::array<epoll_event, 256> events;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
  for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
    const std::size_t i = event.data.u64;
    Voice& voice = voices_[i];
    if (!read_answer(voice)) continue;
    (is_saver(i) ? save_seconds : heartbeat_seconds)
        .push_back(duration<double>(Stopwatch::now() - voice.due).count());
    const int status = std::atoi(voice.received.c_str() + std::strlen("HTTP/1.1 "));
    if (status != 200) ++refused[status];
    voice.received.clear();
    voice.is_waiting = false;
  }
}

// True when an answer is complete.
bool Crowd::read_answer(Voice& voice) {
  char buffer[4096];
  const ssize_t count = recv(voice.socket, buffer, sizeof buffer, 0);
  CHECK(count > 0, "the server keeps the connections of its workers");
  voice.received.append(buffer, static_cast<std::size_t>(count));
  const std::size_t head = voice.received.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  const std::size_t length = voice.received.find("Content-Length: ");
  CHECK(length < head, "an answer says how long it is");
  const auto body =
      static_cast<std::size_t>(std::atol(voice.received.c_str() + length + std::strlen("Content-Length: ")));
  return voice.received.size() >= head + 4 + body;
}

void allow_many_sockets() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

void ten_thousand_workers(Figures& figures) {
  allow_many_sockets();
  const testing::TemporaryFolder folder;
  const std::filesystem::path data = folder / "data";
  std::filesystem::create_directories(data);
  make_claimed_operations(OurServer::database_file(data));
  const OurServer server("", data);
  Crowd crowd(server.port());
  crowd.speak_until(Stopwatch::now() + kWarmUp);
  crowd.heartbeat_seconds.clear();
  crowd.save_seconds.clear();
  crowd.overdue = 0;
  crowd.speak_until(Stopwatch::now() + kMeasured);

  const auto due = static_cast<double>(kWorkers) * kMeasured / kHeartbeat;
  for (const auto& [status, times] : crowd.refused)
    figures.broken(std::to_string(times) + " answers " + std::to_string(status));
  figures.at_least("heartbeats_of_10000_workers_answered_percent",
                   100 * static_cast<double>(crowd.heartbeat_seconds.size()) / due, 99);
  figures.below("heartbeats_of_10000_workers_p99_ms", 1000 * quantile(crowd.heartbeat_seconds, 0.99), 50);
  figures.below("saved_checkpoint_meanwhile_p99_ms", 1000 * quantile(crowd.save_seconds, 0.99), 50);
  figures.always("operations_still_running", running_operations(OurServer::database_file(data)), kWorkers);
  std::fprintf(stderr, "  overdue %lld; p50 %.1f ms, worst %.0f ms\n", static_cast<long long>(crowd.overdue),
               1000 * median(crowd.heartbeat_seconds), 1000 * quantile(crowd.heartbeat_seconds, 1));
}

}  // namespace ktrdr::bench
