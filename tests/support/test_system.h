// A whole ktrdr for one test: a data folder, a server, its workers, market data, and a client.
#pragma once

#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/client/api_client.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "support/child_process.h"

namespace ktrdr::system_test {

struct SystemOptions {
  int local_workers = 1;
  double lease_seconds = 1;
  bool without_tokens = false;  // --no-auth, and the market and the strategies are the server's own
  std::vector<std::string> serve_options;  // more of them
  std::optional<std::string> token;        // instead of one of its own
};

// What a test asks to be trained.
struct TrainingWish {
  std::string strategy_yaml;
  std::int64_t seed = 7;
  std::int64_t checkpoint_every_epochs = 2;
  double checkpoint_every_seconds = 0.25;
  std::optional<double> checkpoint_budget_percent;
};

class TestSystem {
 public:
  explicit TestSystem(SystemOptions options = {});
  ~TestSystem();

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path data_dir() const { return folder_.path() / "data"; }
  std::filesystem::path market() const { return folder_.path() / "market"; }
  std::filesystem::path strategies() const { return folder_.path() / "strategies"; }

  // ---- processes ----
  void start_server();
  void kill_server();  // SIGKILL
  // SIGTERM; its exit code, or nothing when it has not ended in time.
  std::optional<int> stop_server(Duration within = std::chrono::seconds(15));
  ChildProcess& server() { return *server_; }
  // Besides the local ones.
  ChildProcess& start_worker(const std::string& name, const std::vector<std::string>& more_options = {});

  // The process that owns the operation right now; 0 when there is none.
  pid_t worker_pid(const OperationId& id);
  // SIGKILL or another signal to that process; waits until there is one.
  pid_t signal_worker(const OperationId& id, int number);

  // ---- the API ----
  client::ApiClient& api();
  std::string token() const;
  std::string url() const;
  std::string worker_url(const std::string& name);  // waits until it has registered
  OperationId start_training(const TrainingWish& wish);
  api::Operation operation(const OperationId& id);
  // Fails the test when the operation does not get there in time.
  api::Operation wait_for_status(const OperationId& id, api::OperationStatus status,
                                 Duration timeout = std::chrono::seconds(60));
  // Until `step` batches are done (the whole run counts), or it has ended.
  api::Operation wait_for_step(const OperationId& id, std::int64_t step);
  void wait_for_workers(std::int64_t count);
  void wait_for_a_free_worker();
  void resume(const OperationId& id);

  // The command line against this server.
  Finished ktrdr(std::vector<std::string> arguments, Duration timeout = std::chrono::seconds(90));
  Command ktrdr_command(std::vector<std::string> arguments) const;

 private:
  std::vector<std::string> serve_arguments() const;
  void kill_everything();

  const SystemOptions options_;
  testing::TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> server_;
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::unique_ptr<client::ApiClient> api_;
};

// Everything of a finished model that must be equal for equal runs: each file's SHA-256 (but timing.json's),
// the metrics that the server serves, and the result without its path.
using Fingerprint = std::map<std::string, std::string>;
Fingerprint fingerprint_of(TestSystem& system, const OperationId& id);

// The run that nobody disturbs, on a system of its own, and how many batches it has.
struct Reference {
  Fingerprint fingerprint;
  std::int64_t steps = 0;
};
Reference train_undisturbed(const TrainingWish& wish, Duration patience = std::chrono::seconds(60));

// The strategy that the exactness tests train: every part that has state is in it.
std::string demanding_strategy(int epochs);

}  // namespace ktrdr::system_test
