#include "simulation.h"

#include "client.h"
#include "cluster.h"

namespace ktrdr::simulator {
namespace {

using std::chrono::seconds;

// The longest way to the end once nothing fails any more: two leases until a silent worker's attempt has
// ended, its training of some seconds, and the requests that still wait for an answer.
constexpr Duration kUntilAllHasEnded = 2 * Cluster::kLease + seconds(100);
constexpr int kMostRounds = 6;

double some(Dice& dice, double most) {
  return dice.chance(0.4) ? 0 : most * static_cast<double>(dice.between(1, 100)) / 100;
}

void throw_faults(World& world) {
  Dice& dice = world.dice;
  world.faults = {.lost_request = some(dice, 0.15),
                  .lost_answer = some(dice, 0.2),
                  .late_copy = some(dice, 0.2),
                  .slow_network = some(dice, 0.2),
                  .store_trouble = some(dice, 0.03),
                  .slow_store = some(dice, 0.1),
                  .disk_full = some(dice, 0.25),
                  .unreadable = some(dice, 0.3),
                  .full_queue = some(dice, 0.2),
                  .between_strikes = dice.duration(Duration(1000), Duration(9000))};
  if (dice.chance(0.25)) world.faults.poison_step = dice.between(0, 6);
  world.faults.poison_kills = dice.chance(0.4);
  if (dice.chance(0.5)) world.max_restarts = dice.between(1, 4);
}

class Simulation {
 public:
  Simulation(std::uint64_t seed, Tally& tally, Mutant mutant, bool tracing)
      : world_(seed, mutant, tally, tracing) {
    throw_faults(world_);
  }

  void run() {
    cluster_.emplace(world_, world_.dice.index(2) + 1, world_.dice.index(2) + 2);
    client_.emplace(*cluster_, static_cast<int>(world_.dice.between(1, 3)));
    client_->begin();
    world_.scheduler.spawn(fate_, [this] { strike_again_and_again(); });
    run_for(world_.dice.duration(seconds(15), seconds(50)), [] { return false; });
    heal();
    end_well();
  }

  Outcome outcome() {
    return {.violation = world_.violation,
            .trace = world_.trace,
            .steps = world_.scheduler.steps(),
            .simulated = world_.scheduler.now() - Duration(World::kBegin)};
  }

 private:
  void run_for(Duration time, const std::function<bool()>& enough) {
    world_.scheduler.run(world_.scheduler.now() + time, [&] { return world_.violation || enough(); });
  }

  // ---- faults ----

  void strike_again_and_again() {
    while (true) {
      world_.scheduler.sleep(world_.dice.duration(Duration(100), world_.faults.between_strikes));
      if (!world_.faults.on) return;
      start_what_crashed();
      strike();
    }
  }

  void start_what_crashed() {
    for (auto& worker : cluster_->workers) {
      if (!worker->now && world_.dice.chance(0.5)) worker->start();
    }
  }

  void strike() {
    Worker& worker = *world_.dice.pick(cluster_->workers);
    Server& server = *world_.dice.pick(cluster_->servers);
    switch (world_.dice.index(10)) {
      case 0:
      case 1: return kill(worker);
      case 2:
      case 3: return freeze(worker);
      case 4: return terminate(worker);
      case 5: return kill(server);
      case 6: return freeze(server);
      case 7: return jump();
      default: return damage();
    }
  }

  void kill(Worker& worker) {
    if (!worker.now) return;
    world_.fault("worker killed");
    worker.kill();
    restart_later(worker);
  }

  void terminate(Worker& worker) {
    if (!worker.now) return;
    world_.fault("SIGTERM");
    worker.terminate();
    restart_later(worker);
  }

  void kill(Server& server) {
    if (!server.now) return;
    world_.fault("server killed");
    server.kill();
    restart_later(server);
  }

  template <class Node>
  void restart_later(Node& node) {
    world_.scheduler.spawn(fate_, [this, &node] {
      world_.scheduler.sleep(world_.dice.duration(Duration(500), seconds(15)));
      if (!node.now) node.start();
    });
  }

  template <class Node>
  void freeze(Node& node) {
    if (!node.now || node.now->process->frozen) return;
    world_.fault(std::is_same_v<Node, Worker> ? "worker frozen" : "server frozen");
    const ProcessPtr process = node.now->process;
    process->frozen = true;
    world_.scheduler.spawn(fate_, [this, process] {
      // Half of them about as long as a lease, so that heartbeats and the end of the lease meet.
      const bool about_a_lease = world_.dice.chance(0.5);
      world_.scheduler.sleep(
          about_a_lease ? world_.dice.duration(Cluster::kLease - seconds(2), Cluster::kLease + seconds(2))
                        : world_.dice.duration(Duration(500), seconds(25)));
      thaw(*process);
    });
  }

  void thaw(Process& process) {
    if (!process.frozen || process.killed) return;
    process.frozen = false;
    world_.note([&] { return process.name + " goes on"; });
  }

  void jump() {
    world_.fault("wall clock jumped");
    world_.clock.jump(world_.dice.duration(seconds(-3600), seconds(3600)));
  }

  // Never the last good one: then nothing could be promised.
  void damage() {
    if (client_->acknowledged().empty()) return;
    const OperationId& id = world_.dice.pick(client_->acknowledged());
    const View& view = cluster_->referee.view(id);
    if (view.checkpoints.size() < 2) return;
    for (const auto& checkpoint : view.checkpoints) {
      if (cluster_->objects.is_damaged(id, checkpoint.ref)) return;
    }
    world_.fault("newest checkpoint damaged");
    cluster_->objects.damage(id, view.checkpoints.front().ref);
  }

  // ---- the end ----

  void heal() {
    world_.note([] { return "from now on nothing fails any more"; });
    world_.faults.on = false;
    for (auto& worker : cluster_->workers) heal(*worker);
    for (auto& server : cluster_->servers) heal(*server);
  }

  template <class Node>
  void heal(Node& node) {
    if (!node.now) node.start();
    thaw(*node.now->process);
  }

  // Everything ends by itself; then what ended without a result is resumed and ends in the undisturbed model.
  void end_well() {
    for (int round = 0; round < kMostRounds; ++round) {
      run_for(kUntilAllHasEnded, [this] { return everything_has_ended(); });
      if (world_.violation) return;
      if (!everything_has_ended()) return world_.violate("not ended in time: " + what_has_not_ended());
      if (!resume_all()) return;
    }
    world_.violate("still not completed after " + std::to_string(kMostRounds) + " resumes");
  }

  bool everything_has_ended() {
    for (auto& worker : cluster_->workers) {  // one that got a SIGTERM just before
      if (!worker->now) worker->start();
    }
    if (!client_->has_started_all()) return false;
    for (const OperationId& id : client_->acknowledged()) {
      if (!cluster_->referee.view(id).is_finished()) return false;
    }
    return true;
  }

  std::string what_has_not_ended() {
    std::string text;
    for (const OperationId& id : client_->acknowledged()) {
      const View& view = cluster_->referee.view(id);
      if (view.is_finished()) continue;
      text += id.value + " is " + std::string(api::to_string(view.row->status)) + ", attempt " +
              std::to_string(view.row->attempt) + ", owner " + view.row->worker_id.value_or("none") + "; ";
    }
    return text.empty() ? "a start was not answered" : text;
  }

  // False: there is nothing to resume.
  bool resume_all() {
    bool found = false;
    int open = 0;
    for (const OperationId& id : client_->acknowledged()) {
      const View& view = cluster_->referee.view(id);
      if (!api::is_resumable(view.row->status) || !view.current()) continue;
      found = true;
      ++open;
      world_.scheduler.spawn(fate_, [this, id, &open] {
        static_cast<void>(client_->resume(id));
        --open;
      });
    }
    if (found) run_for(seconds(60), [&] { return open == 0; });
    if (open > 0 && !world_.violation) world_.violate("a resume was not answered");
    return found;
  }

  World world_;
  const ProcessPtr fate_ = std::make_shared<Process>(Process{"fate"});
  std::optional<Cluster> cluster_;
  std::optional<Client> client_;

 public:
  // Fibers hold what their processes have in memory, which uses the cluster.
  ~Simulation() { world_.scheduler.kill_all(); }
};

}  // namespace

Outcome simulate(std::uint64_t seed, Tally& tally, Mutant mutant, bool tracing) {
  Simulation simulation(seed, tally, mutant, tracing);
  simulation.run();
  return simulation.outcome();
}

}  // namespace ktrdr::simulator
