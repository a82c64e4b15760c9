// The processes of a simulation. Each is a place (Server, Worker) that is alive or not; what a process has in
// memory is its life, which goes when it is killed, and a new life begins with a restart.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/services/checkpoint_sweeper.h"
#include "ktrdr/services/dispatcher.h"
#include "ktrdr/services/executor.h"
#include "ktrdr/services/lease_watch.h"
#include "ktrdr/services/operations_service.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/worker/server_api.h"
#include "ktrdr/worker/training_worker.h"
#include "network.h"
#include "referee.h"

namespace ktrdr::simulator {

class Cluster;

// A checkpoint store as one process sees it: slow, and sometimes full. `is_sweep`: what is removed through it
// is the sweep's choice.
class StoreOfProcess final : public checkpoints::CheckpointStore {
 public:
  StoreOfProcess(Cluster& cluster, bool is_sweep) : cluster_(cluster), is_sweep_(is_sweep) {}

  Result<checkpoints::StoredCheckpoint> put(const checkpoints::CheckpointContent& content) override;
  Result<checkpoints::VerifiedCheckpoint> load(const OperationId& id, CheckpointRef ref) const override;
  Result<std::vector<CheckpointRef>> list(const OperationId& id) const override;
  Result<std::vector<OperationId>> operations() const override;
  Result<void> remove(const OperationId& id, CheckpointRef ref) override;
  Result<void> remove_operation(const OperationId& id) override;
  Result<std::size_t> remove_leftovers(const OperationId& id,
                                       const std::function<bool(CheckpointRef)>& may_be_in_use) override;

 private:
  Cluster& cluster_;
  const bool is_sweep_;
};

// The database as one server sees it: it takes its time, and it fails before or after it did what was asked.
class StoreTrouble {
 public:
  explicit StoreTrouble(World& world) : world_(world) {}

  template <class Proceed>
  auto around(const Call& call, Proceed proceed) -> decltype(proceed()) {
    travel(call);
    if (world_.strikes(world_.faults.store_trouble, "the store failed before it did it")) return trouble();
    auto answer = proceed();
    travel(call);
    if (world_.strikes(world_.faults.store_trouble, "the store failed after it did it")) return trouble();
    return answer;
  }

 private:
  // Seldom calls are slow more often, so that what they race with comes in between.
  void travel(const Call& call) {
    const bool is_seldom = !call.reads() && call.method != Method::kHeartbeat;
    if (world_.strikes(world_.faults.slow_store * (is_seldom ? 5 : 1), "slow store"))
      world_.scheduler.sleep(world_.dice.duration(Duration(10), Duration(3000)));
    else if (world_.dice.chance(call.reads() ? 0.1 : 0.4)) world_.scheduler.sleep(Duration(0));
  }
  static Error trouble() { return {ErrorCode::kIo, "The store has trouble."}; }
  World& world_;
};

// ---- servers ----

class ServerLife final : public std::enable_shared_from_this<ServerLife>,
                         private services::WorkerGateway,
                         private services::Executor {
 public:
  ServerLife(Cluster& cluster, std::string name);
  void begin();  // starts its loops

  const ProcessPtr process;

 private:
  Cluster& cluster_;
  StoreTrouble trouble_;
  InterceptedRepository<StoreTrouble> rows_;
  StoreOfProcess files_, swept_files_;

 public:
  services::WorkerRegistry registry;
  services::Dispatcher dispatcher;
  services::OperationsService operations;
  services::CheckpointService checkpoints;

  // As OperationsService does, but for the new id, which is random there.
  Result<storage::Created> retry(const OperationId& id, const OperationId& new_id,
                                 const storage::Precondition& precondition,
                                 const std::optional<storage::IdempotencyKey>& key) {
    return rows_.retry(id, new_id, precondition, key);
  }
  // What the route does with TrainingsService, which reads market data.
  Result<storage::Created> create(const storage::NewOperation& operation,
                                  const std::optional<storage::IdempotencyKey>& key) {
    return rows_.create(operation, key);
  }

 private:
  Result<void> start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) override;
  Result<void> resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) override;
  Result<void> cancel(const api::WorkerInfo& worker, const OperationId& operation) override;
  bool post(Task task) override;

  void every(Duration interval, std::function<void()> work);
  void watch_leases();

  services::LeaseWatch lease_watch_;
  services::CheckpointSweeper sweeper_;
};

struct Server {
  Server(Cluster& the_cluster, std::string the_name) : cluster(the_cluster), name(std::move(the_name)) {}
  const std::shared_ptr<ServerLife>& life() const { return now; }
  void start();
  void kill();

  Cluster& cluster;
  const std::string name;
  std::shared_ptr<ServerLife> now;
};

// ---- workers ----

class WorkerLife final : public std::enable_shared_from_this<WorkerLife>, public worker::ServerApi {
 public:
  WorkerLife(Cluster& cluster, std::string name, std::string endpoint, int number);
  void begin();

  const ProcessPtr process;

 private:
  Cluster& cluster_;
  const std::string endpoint_;
  StoreOfProcess files_;

 public:
  worker::TrainingWorker worker;

 private:
  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request) override;
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id,
                                         const api::HeartbeatRequest& request) override;
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request) override;
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id,
                                             const api::RewindRequest& request) override;
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request) override;
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request) override;

  template <class Handle>
  auto ask(Handle handle, bool is_seldom = false) -> decltype(handle(std::declval<ServerLife&>()));
  void register_forever();

  std::size_t server_ = 0;  // which one it talks to; another when that one doesn't answer
};

struct Worker {
  Worker(Cluster& the_cluster, std::string the_name)
      : cluster(the_cluster), name(std::move(the_name)), endpoint("http://" + name + ":1") {}
  const std::shared_ptr<WorkerLife>& life() const { return now; }
  void start();
  void kill();
  void terminate();  // SIGTERM

  Cluster& cluster;
  const std::string name, endpoint;
  std::shared_ptr<WorkerLife> now;
  int lives = 0;
};

// ---- all of them ----

class Cluster {
 public:
  static constexpr Duration kLease = std::chrono::seconds(10);

  Cluster(World& world, std::size_t servers, std::size_t workers);
  ~Cluster();

  void crash(const Process& process);  // a worker's, by itself

  World& world;
  Network network;
  Objects objects;
  std::unique_ptr<storage::OperationsRepository> memory, broken;
  Referee referee;
  InterceptedRepository<Referee> rows;  // what every server's database is
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Worker>> workers;
};

}  // namespace ktrdr::simulator
