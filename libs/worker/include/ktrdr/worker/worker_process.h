// A whole worker process but for main(): its HTTP server, its registration with the control plane, its
// shutdown.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/http/server.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/worker/measured_checkpoint_store.h"
#include "ktrdr/worker/measured_server.h"
#include "ktrdr/worker/server_link.h"
#include "ktrdr/worker/training_worker.h"
#include "ktrdr/worker/worker_metrics.h"

namespace ktrdr::worker {

struct WorkerOptions {
  client::AddressOptions server;   // how to find it; the data folder also gives the token
  std::vector<std::string> peers;  // URLs of further servers of the same store
  std::filesystem::path data_dir;
  std::string checkpoints;                      // a folder or s3://..; empty: <data_dir>/checkpoints
  std::optional<std::filesystem::path> models;  // default: <data_dir>/models
  std::string name = "worker";
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;             // 0: any free one
  bool exit_when_idle_alone = false;  // idle and no server for a minute: nobody needs this process any more
};

// Owned by main() or a test, used by one thread.
class WorkerProcess {
 public:
  // Listening and registering (again and again, in the background) when this returns.
  static Result<std::unique_ptr<WorkerProcess>> start(Clock& clock, training::EngineFactory& engines,
                                                      WorkerOptions options, client::Environment environment);
  ~WorkerProcess();

  // True once the process should end by itself (see exit_when_idle_alone).
  bool wants_to_end() const { return wants_to_end_; }

  // SIGTERM: stops at the next batch, commits, hands back.
  ShutDown shut_down(Duration at_most);

  std::uint16_t port() const { return http_server_->port(); }

 private:
  WorkerProcess(Clock& clock, training::EngineFactory& engines, WorkerOptions options,
                client::Environment environment, std::unique_ptr<checkpoints::CheckpointStore> checkpoints,
                checkpoints::ModelStore models);

  void sign_of_life_loop();
  Duration sign_of_life();
  void describe_process();
  void tell_why(const Error& not_registered);
  api::WorkerRegistration registration() const;

  struct Life {
    bool ending = false;
    bool woken = false;  // a training has ended: tell the server at once that this worker is free
  };

  Clock& clock_;
  const WorkerOptions options_;
  metrics::Registry registry_;
  WorkerMetrics metrics_;
  ServerLink server_;
  MeasuredServer measured_server_;
  std::unique_ptr<checkpoints::CheckpointStore> checkpoints_;
  MeasuredCheckpointStore measured_checkpoints_;
  checkpoints::ModelStore models_;
  Synchronized<Life> life_;  // before worker_, whose last training still wakes it
  TrainingWorker worker_;
  std::unique_ptr<http::Server> http_server_;
  Duration last_contact_;
  Duration away_pause_;          // before the next try
  std::string refused_because_;  // what the log knows already
  std::atomic<bool> wants_to_end_ = false;
  std::jthread registration_thread_;
};

}  // namespace ktrdr::worker
