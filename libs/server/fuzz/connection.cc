// Any bytes on a connection to a server with all routes of the control plane, on the repository in memory.
// Every answer is good or a refusal with the error body, never a 5xx; and when all answers of a connection
// were refusals, nothing has changed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/http/server.h"
#include "ktrdr/services/testing/fake_worker_gateway.h"
#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

constexpr const char* kToken = "token";
constexpr Duration kLongerThanAnyWait = std::chrono::seconds(60);

class Immediately final : public services::Executor {
  bool post(Task task) override { return task(), true; }
};

// A control plane without a database, a disk or workers; two operations are there, one runs, one failed.
class Bench {
 public:
  Bench() {
    fill();
    server_ =
        http::Server::start({.token = kToken}, endpoints::make_router(endpoint_table(context_))).value();
    before_ = everything();
  }

  std::uint16_t port() const { return server_->port(); }
  bool is_unchanged() { return everything() == before_; }

  // What waits for a worker waits no longer.
  void let_time_pass() {
    clock_.advance(kLongerThanAnyWait);
    operations_.answer_waiters();
  }

 private:
  void fill() {
    namespace t = storage::testing;
    const storage::Fence fence{1, {"worker-1"}};
    for (const char* name : {"op_1", "op_2"}) {
      CHECK(repository_->create(t::new_operation(name), std::nullopt).ok(), "created");
      CHECK(repository_->claim({name}, fence, "alpha").ok(), "claimed");
      CHECK(repository_->commit_checkpoint({name}, fence, t::checkpoint({1, 0}, std::nullopt)).ok(),
            "committed");
    }
    CHECK(repository_->fail({"op_2"}, fence, "out of memory").ok(), "failed");
  }

  std::string everything() {
    std::string text;
    for (const auto& summary : repository_->list({.limit = 1000}).value().operations) {
      const OperationId id{summary.operation_id};
      text += api::to_json(repository_->get(id).value()) + api::to_json(repository_->job(id).value());
    }
    for (const auto& pulse : repository_->pulses().value())
      text += std::to_string(pulse.heartbeat_sequence) + " ";
    for (const auto& worker : registry_.list()) text += worker.worker_id + " ";
    return text;
  }

  ktrdr::testing::ManualClock clock_;
  ktrdr::testing::TemporaryFolder folder_;
  std::unique_ptr<storage::OperationsRepository> repository_ = storage::make_memory_repository(clock_);
  checkpoints::testing::MemoryCheckpointStore objects_;
  services::testing::FakeWorkerGateway gateway_;
  Immediately immediately_;
  services::WorkerRegistry registry_{clock_, std::chrono::hours(1000)};
  services::Dispatcher dispatcher_{clock_, *repository_, registry_, gateway_};
  services::OperationsService operations_{clock_,   *repository_, objects_,    registry_,
                                          gateway_, dispatcher_,  immediately_};
  services::TrainingsService trainings_{
      clock_, *repository_, registry_, {folder_ / "market", folder_ / "strategies"}};
  services::CheckpointService checkpoints_{clock_, *repository_, objects_};
  services::EventFeed events_{clock_, *repository_};
  services::TaskQueue starts_{"starts", 1, 100};
  metrics::Registry metrics_;
  RouteContext context_{.clock = clock_,
                        .operations = operations_,
                        .trainings = trainings_,
                        .checkpoints = checkpoints_,
                        .events = events_,
                        .starts = starts_,
                        .workers = registry_,
                        .metrics = metrics_,
                        .wake_dispatcher = [] {},
                        .checkpoints_place = folder_.path(),
                        .heartbeat_interval = Duration(2000),
                        .orphan_detector = [] { return api::OrphanDetectorInfo{}; },
                        .may_name_data_dir = false};
  std::string before_;
  std::unique_ptr<http::Server> server_;  // stops before what its handlers use goes
};

class Connection {
 public:
  explicit Connection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "the server listens");
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;  // it was refused, and closed, on the way
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    ::shutdown(socket_, SHUT_WR);  // so that a request that is not whole is not waited for
  }

  // Until the server closes.
  std::string receive(Bench& bench) {
    std::string received;
    char block[4096];
    for (int waits = 0; waits < kMostWaits; ++waits) {
      pollfd waiting{socket_, POLLIN, 0};
      if (::poll(&waiting, 1, kPatienceMs) == 0) {
        bench.let_time_pass();
        continue;
      }
      const ssize_t count = ::recv(socket_, block, sizeof block, 0);
      if (count <= 0) return received;
      received.append(block, static_cast<std::size_t>(count));
    }
    CHECK(false, "the server answers or closes");
    return received;
  }

 private:
  static constexpr int kPatienceMs = 20, kMostWaits = 1500;
  int socket_;
};

void check_refusal(std::string_view body) {
  const auto error = api::from_json<api::ErrorBody>(body);
  CHECK(error.ok() && !error->success && !error->detail.empty(), "a refusal has the error body");
}

std::size_t length_of(std::string_view head) {
  const auto at = head.find("Content-Length: ");
  return at == std::string_view::npos
             ? 0
             : std::stoul(std::string(head.substr(at + 16, head.find('\r', at) - at - 16)));
}

// Walks over the answers; true when one of them was good.
bool check_answers(std::string_view received) {
  bool any_good = false;
  while (!received.empty()) {
    const std::size_t end = received.find("\r\n\r\n");
    CHECK(received.starts_with("HTTP/1.") && end != std::string_view::npos, "an answer is HTTP");
    const std::string_view head = received.substr(0, end);
    const int status = std::stoi(std::string(head.substr(9, 3)));
    CHECK(status < 500, "the server is never at fault");
    received.remove_prefix(end + 4);
    const bool has_no_body = received.empty() || received.starts_with("HTTP/1.");  // an answer to HEAD
    const std::size_t length = has_no_body ? 0 : length_of(head);
    CHECK(length <= received.size(), "an answer is whole");
    if (status >= 400 && length > 0) check_refusal(received.substr(0, length));
    any_good = any_good || (status >= 200 && status < 300);
    received.remove_prefix(length);
  }
  return any_good;
}

void exchange(std::string_view bytes) {
  static std::unique_ptr<Bench> bench = std::make_unique<Bench>();
  bool any_good = false;
  {
    Connection connection(bench->port());
    connection.send(bytes);
    any_good = check_answers(connection.receive(*bench));
  }
  if (bench->is_unchanged()) return;
  CHECK(any_good, "a refusal changes nothing");
  bench.reset();
  bench = std::make_unique<Bench>();
}

// What the fuzzer writes as a line end is one that HTTP takes, so that seeds can be plain texts.
std::string with_line_ends(std::string_view text) {
  std::string bytes;
  for (const char c : text) {
    if (c == '\n' && !bytes.ends_with('\r')) bytes += '\r';
    bytes += c;
  }
  return bytes;
}

}  // namespace
}  // namespace ktrdr::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ktrdr::server::exchange(ktrdr::server::with_line_ends({reinterpret_cast<const char*>(data), size}));
  return 0;
}
