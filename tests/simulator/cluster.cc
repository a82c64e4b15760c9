#include "cluster.h"

#include "broken_repository.h"
#include "ktrdr/storage/memory_repository.h"
#include "simulated_run.h"

namespace ktrdr::simulator {
namespace {

constexpr Duration kSignOfLife = std::chrono::seconds(2);
constexpr Duration kServerIsAway = std::chrono::milliseconds(500);
constexpr Duration kDispatch = std::chrono::seconds(1);
constexpr bool kSeldom = true;
constexpr Duration kOldCheckpoint = std::chrono::seconds(20);
constexpr Duration kAnswerWaiters = std::chrono::seconds(1);

}  // namespace

Cluster::Cluster(World& the_world, std::size_t server_count, std::size_t worker_count)
    : world(the_world),
      network(world),
      objects(world),
      memory(storage::make_memory_repository(world.clock)),
      broken(break_repository(*memory, world.mutant)),
      referee(world, *broken, objects, kLease),
      rows(*broken, referee) {
  for (std::size_t i = 0; i < server_count; ++i)
    servers.push_back(std::make_unique<Server>(*this, "server-" + std::to_string(i + 1)));
  for (std::size_t i = 0; i < worker_count; ++i)
    workers.push_back(std::make_unique<Worker>(*this, "desk-" + std::to_string(i + 1)));
  for (auto& server : servers) server->start();
  for (auto& worker : workers) worker->start();
}

// ---- files ----

Result<checkpoints::StoredCheckpoint> StoreOfProcess::put(const checkpoints::CheckpointContent& content) {
  World& world = cluster_.world;
  world.scheduler.sleep(world.dice.duration(Duration(1), Duration(200)));
  if (world.strikes(world.faults.disk_full, "disk full"))
    return Error(ErrorCode::kIo, "No space left on device.");
  auto stored = cluster_.objects.put(content);
  world.scheduler.sleep(
      world.dice.duration(Duration(0), Duration(20)));  // a crash now leaves an object alone
  return stored;
}

Result<checkpoints::VerifiedCheckpoint> StoreOfProcess::load(const OperationId& id, CheckpointRef ref) const {
  World& world = cluster_.world;
  world.scheduler.sleep(world.dice.duration(Duration(1), Duration(100)));
  if (world.strikes(world.faults.unreadable, "checkpoint storage can't be read now"))
    return Error(ErrorCode::kIo, "Input/output error.");
  return cluster_.objects.store().load(id, ref);
}

Result<std::vector<CheckpointRef>> StoreOfProcess::list(const OperationId& id) const {
  auto refs = cluster_.objects.store().list(id);
  cluster_.world.scheduler.sleep(cluster_.world.dice.duration(Duration(0), Duration(300)));
  return refs;
}

Result<std::vector<OperationId>> StoreOfProcess::operations() const {
  return cluster_.objects.store().operations();
}

Result<void> StoreOfProcess::remove(const OperationId& id, CheckpointRef ref) {
  cluster_.world.scheduler.sleep(cluster_.world.dice.duration(Duration(0), Duration(100)));
  if (is_sweep_ && cluster_.objects.is_there(id, ref)) cluster_.referee.sweeps(id, ref);
  cluster_.objects.remove(id, ref);
  cluster_.referee.removed(id);
  return {};
}

Result<void> StoreOfProcess::remove_operation(const OperationId&) {
  return Error(ErrorCode::kInternal, "Nobody asks for that.");
}

Result<std::size_t> StoreOfProcess::remove_leftovers(const OperationId&,
                                                     const std::function<bool(CheckpointRef)>&) {
  return std::size_t{0};
}

// ---- servers ----

ServerLife::ServerLife(Cluster& cluster, std::string name)
    : process(std::make_shared<Process>(Process{std::move(name)})),
      cluster_(cluster),
      trouble_(cluster.world),
      rows_(cluster.rows, trouble_),
      files_(cluster, false),
      swept_files_(cluster, true),
      registry(cluster.world.clock, kSignOfLife),
      dispatcher(cluster.world.clock, rows_, registry, *this),
      operations(cluster.world.clock, rows_, files_, registry, *this, dispatcher, *this,
                 cluster.world.max_restarts),
      checkpoints(cluster.world.clock, rows_, swept_files_),
      lease_watch_(Cluster::kLease),
      sweeper_(rows_, swept_files_) {}

void ServerLife::begin() {
  World& world = cluster_.world;
  every(kDispatch, [this] { dispatcher.dispatch_waiting(); });
  every(lease_watch_.interval(), [this] { watch_leases(); });
  every(kAnswerWaiters, [this] { operations.answer_waiters(); });
  world.scheduler.spawn(process, [self = shared_from_this(), this, &world] {
    while (true) {
      world.scheduler.sleep(world.dice.duration(std::chrono::seconds(1), std::chrono::seconds(20)));
      if (world.faults.on && world.dice.chance(0.1)) static_cast<void>(checkpoints.clean_up(kOldCheckpoint));
      else static_cast<void>(sweeper_.sweep());  // a storage that fails is one of the faults
    }
  });
}

void ServerLife::every(Duration interval, std::function<void()> work) {
  cluster_.world.scheduler.spawn(process, [self = shared_from_this(), interval, work = std::move(work)] {
    while (true) {
      work();
      self->cluster_.world.scheduler.sleep(interval);
    }
  });
}

// As the control plane's loop does.
void ServerLife::watch_leases() {
  if (operations.take_store_trouble(lease_watch_.longest_heartbeat_in_store())) return lease_watch_.forget();
  const auto pulses = rows_.pulses();
  if (!pulses.ok()) return lease_watch_.forget();
  for (const storage::Pulse& silent : lease_watch_.observe(*pulses, cluster_.world.clock.monotonic())) {
    if (!operations.end_orphan(silent, services::lease_lapsed_message(silent, Cluster::kLease)).ok())
      lease_watch_.forget();
  }
}

bool ServerLife::post(Task task) {
  if (cluster_.world.strikes(cluster_.world.faults.full_queue, "no room for a task")) return false;
  cluster_.world.scheduler.spawn(process, [self = shared_from_this(), task = std::move(task)] { task(); });
  return true;
}

namespace {

Worker* worker_at(Cluster& cluster, const std::string& endpoint) {
  for (auto& worker : cluster.workers) {
    if (worker->endpoint == endpoint) return worker.get();
  }
  return nullptr;
}

template <class Handle>
Result<void> ask_worker(Cluster& cluster, const api::WorkerInfo& info, Handle handle) {
  Worker* worker = worker_at(cluster, info.endpoint_url);
  CHECK(worker, "a registered worker has a place");
  return cluster.network.call(*worker, handle);
}

}  // namespace

Result<void> ServerLife::start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) {
  return ask_worker(cluster_, worker, [request](WorkerLife& life) -> Result<void> {
    TRY(life.worker.start(request));
    return {};
  });
}

Result<void> ServerLife::resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) {
  return ask_worker(cluster_, worker, [request](WorkerLife& life) -> Result<void> {
    TRY(life.worker.resume(request));
    return {};
  });
}

Result<void> ServerLife::cancel(const api::WorkerInfo& worker, const OperationId& operation) {
  return ask_worker(cluster_, worker, [operation](WorkerLife& life) -> Result<void> {
    if (life.worker.cancel(operation)) return {};
    return Error(ErrorCode::kNotFound, "It is not trained here.");
  });
}

void Server::start() {
  now = std::make_shared<ServerLife>(cluster, name);
  now->begin();
}

void Server::kill() {
  if (!now) return;
  now->process->killed = true;
  now.reset();
}

// ---- workers ----

WorkerLife::WorkerLife(Cluster& cluster, std::string name, std::string endpoint, int number)
    : process(std::make_shared<Process>(Process{name + "." + std::to_string(number)})),
      cluster_(cluster),
      endpoint_(std::move(endpoint)),
      files_(cluster, false),
      worker(
          cluster.world.clock, *this, files_, {{name + "-life-" + std::to_string(number)}, name},
          [this](worker::Assignment assignment) -> std::shared_ptr<worker::Run> {
            auto run =
                std::make_shared<SimulatedRun>(cluster_, process, *this, files_, std::move(assignment));
            run->begin();
            return run;
          },
          [this](Duration at_most, const std::function<bool()>& ready) {
            cluster_.world.scheduler.wait(at_most, ready);
          }) {}

void WorkerLife::begin() {
  cluster_.world.scheduler.spawn(process, [self = shared_from_this()] { self->register_forever(); });
}

void WorkerLife::register_forever() {
  while (true) {
    const auto operation = worker.current_operation();
    const api::WorkerRegistration registration{
        .worker_id = worker.identity().id.value,
        .name = worker.identity().name,
        .endpoint_url = endpoint_,
        .current_operation_id = operation ? std::optional(operation->value) : std::nullopt};
    const auto info = ask([registration](ServerLife& server) { return server.registry.add(registration); });
    cluster_.world.scheduler.sleep(info.ok() ? kSignOfLife : kServerIsAway);
  }
}

template <class Handle>
auto WorkerLife::ask(Handle handle, bool is_seldom) -> decltype(handle(std::declval<ServerLife&>())) {
  auto answer = cluster_.network.call(*cluster_.servers[server_], handle, is_seldom);
  if (!answer.ok() && answer.error().code == ErrorCode::kUnavailable)
    server_ = cluster_.world.dice.index(cluster_.servers.size());
  return answer;
}

Result<api::TrainingJob> WorkerLife::job(const OperationId& id) {
  return ask([id](ServerLife& server) { return server.operations.job(id); });
}
Result<api::ClaimAnswer> WorkerLife::claim(const OperationId& id, const api::ClaimRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.claim(id, request); });
}
Result<api::HeartbeatAnswer> WorkerLife::heartbeat(const OperationId& id,
                                                   const api::HeartbeatRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.heartbeat(id, request); });
}
Result<api::CommitCheckpointAnswer> WorkerLife::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  auto answer =
      ask([id, request](ServerLife& server) { return server.operations.commit_checkpoint(id, request); });
  if (!answer.ok()) cluster_.referee.commit_answered(answer.error());
  return answer;
}
Result<api::CommitCheckpointAnswer> WorkerLife::rewind(const OperationId& id,
                                                       const api::RewindRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.rewind(id, request); }, kSeldom);
}
Result<api::AppliedAnswer> WorkerLife::complete(const OperationId& id, const api::CompleteRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.complete(id, request); }, kSeldom);
}
Result<api::AppliedAnswer> WorkerLife::fail(const OperationId& id, const api::FailRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.fail(id, request); }, kSeldom);
}
Result<api::AppliedAnswer> WorkerLife::stopped(const OperationId& id, const api::StoppedRequest& request) {
  return ask([id, request](ServerLife& server) { return server.operations.stopped(id, request); }, kSeldom);
}

void Worker::start() {
  now = std::make_shared<WorkerLife>(cluster, name, endpoint, ++lives);
  now->begin();
}

void Worker::kill() {
  if (!now) return;
  now->process->killed = true;
  if (cluster.world.mutant == Mutant::kObjectNotDurable) cluster.objects.forget_unsynced(now->process.get());
  now.reset();
}

void Worker::terminate() {
  if (!now) return;
  cluster.world.scheduler.spawn(now->process, [this, life = now] {
    const worker::ShutDown how = life->worker.shut_down(std::chrono::seconds(25));
    if (how == worker::ShutDown::kHandedBack) cluster.world.count("handed back on SIGTERM");
    if (now == life) kill();
  });
}

void Cluster::crash(const Process& process) {
  for (auto& worker : workers) {
    if (worker->now && worker->now->process.get() == &process) worker->kill();
  }
}

Cluster::~Cluster() {
  for (auto& worker : workers) worker->kill();
  for (auto& server : servers) server->kill();
}

}  // namespace ktrdr::simulator
