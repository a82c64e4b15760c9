#include "simulated_run.h"

#include "ktrdr/training/testing/fake_engine.h"

namespace ktrdr::simulator {
namespace {

constexpr Duration kForEver = std::chrono::hours(1000);

// Every batch takes a while, and meanwhile anything may happen.
class SlowEngine final : public training::Engine {
 public:
  SlowEngine(World& world, std::unique_ptr<training::Engine> inner, std::function<void()> crash)
      : world_(world), inner_(std::move(inner)), crash_(std::move(crash)) {}

  const training::EngineIdentity& identity() const override { return inner_->identity(); }
  std::int64_t parameter_count() const override { return inner_->parameter_count(); }
  Result<training::LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t global_step,
                                         double learning_rate) override {
    world_.scheduler.sleep(world_.dice.duration(Duration(100), Duration(2500)));
    if (world_.faults.on && world_.faults.poison_step == global_step) TRY(swallow_poison());
    return inner_->train_batch(rows, global_step, learning_rate);
  }
  Result<training::LossSums> evaluate(strategy::RowRange rows,
                                      std::vector<std::int64_t>* predictions) override {
    world_.scheduler.sleep(world_.dice.duration(Duration(10), Duration(500)));
    return inner_->evaluate(rows, predictions);
  }
  void snapshot_model(checkpoints::TensorMap& into) const override { inner_->snapshot_model(into); }
  void snapshot_optimizer(checkpoints::TensorMap& into) const override { inner_->snapshot_optimizer(into); }
  Result<void> restore_model(std::span<const checkpoints::TensorView> from) override {
    return inner_->restore_model(from);
  }
  Result<void> restore_optimizer(std::span<const checkpoints::TensorView> from) override {
    if (world_.mutant == Mutant::kOptimizerNotRestored) return {};
    return inner_->restore_optimizer(from);
  }

 private:
  Result<void> swallow_poison() {
    world_.fault(world_.faults.poison_kills ? "poison batch kills its worker" : "poison batch fails");
    if (!world_.faults.poison_kills) return Error(ErrorCode::kInternal, "This batch always fails.");
    crash_();
    world_.scheduler.sleep(Duration(1));  // ends here
    return {};
  }

  World& world_;
  const std::unique_ptr<training::Engine> inner_;
  const std::function<void()> crash_;
};

// CheckpointWriter's waiting, in simulated time.
class SimulatedSink final : public training::CheckpointSink {
 public:
  SimulatedSink(World& world, worker::CheckpointPipeline& pipeline) : world_(world), pipeline_(pipeline) {}
  ~SimulatedSink() override { pipeline_.close(); }

  bool idle() const override { return pipeline_.idle(); }
  void wait_until_idle() override {  // the trainer's destructors call it
    world_.scheduler.wait_without_unwinding(kForEver, [this] { return pipeline_.idle(); });
  }
  void save_in_background(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override {
    pipeline_.enqueue(snapshot, type);
  }
  Result<void> save_now(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override {
    world_.scheduler.sleep(Duration(0));  // ends here when the process was killed meanwhile
    const CheckpointRef ref = pipeline_.enqueue(snapshot, type);
    std::optional<Result<void>> outcome;
    world_.scheduler.wait(kForEver, [&] { return (outcome = pipeline_.outcome(ref)).has_value(); });
    wait_until_idle();
    return *outcome;
  }

 private:
  World& world_;
  worker::CheckpointPipeline& pipeline_;
};

}  // namespace

SimulatedRun::SimulatedRun(Cluster& cluster, ProcessPtr process, worker::ServerApi& server,
                           checkpoints::CheckpointStore& files, worker::Assignment assignment)
    : cluster_(cluster),
      world_(cluster.world),
      process_(std::move(process)),
      attempt_(cluster.world.clock, server, files, std::move(assignment)) {}

void SimulatedRun::begin() {
  const auto self = shared_from_this();
  world_.scheduler.spawn(process_, [self] { self->train(); });
  world_.scheduler.spawn(process_, [self] { self->write_checkpoints(); });
  world_.scheduler.spawn(process_, [self] { self->heartbeats(); });
}

void SimulatedRun::train() {
  const worker::Assignment& assignment = attempt_.assignment();
  {
    SimulatedSink sink(world_, attempt_.checkpoints());
    const auto word = attempt_.conclude(train_with(sink), [&](auto files) {
      return cluster_.objects.publish(assignment.operation, assignment.attempt, sha256_of(files));
    });
    if (word)
      attempt_.tell(*word, [this](Duration pause) {
        world_.scheduler.wait(pause, [this] { return attempt_.has_given_up(); });
      });
  }
  training_ended_ = true;
}

Result<training::FinishedTraining> SimulatedRun::train_with(training::CheckpointSink& sink) {
  const Recipe& recipe = recipe_of(attempt_.assignment().request);
  training::testing::FakeEngineFactory engines;
  TRY_ASSIGN(auto made, engines.create(recipe.strategy, recipe.dataset, recipe.request.seed));
  SlowEngine engine(world_, std::move(made), [this] { cluster_.crash(*process_); });
  const auto identity = identity_of(recipe, engine);
  attempt_.checkpoints().set_identity(identity);
  auto resume = attempt_.take_resume_context();
  if (resume) TRY(training::check_same_experiment(resume->identity, identity, false));
  training::ModelTrainer trainer(world_.clock, engine, recipe.strategy, recipe.dataset, sink,
                                 attempt_.report(), trainer_options(recipe), std::move(resume));
  TRY_ASSIGN(training::TrainingOutcome outcome, trainer.train(attempt_.stop()));
  return finish(std::move(outcome));
}

void SimulatedRun::write_checkpoints() {
  worker::CheckpointPipeline& pipeline = attempt_.checkpoints();
  while (true) {
    world_.scheduler.wait(pipeline.backoff(), [&] { return pipeline.has_news(); });
    if (pipeline.at_its_end()) return;
    pipeline.step();
  }
}

void SimulatedRun::heartbeats() {
  do {
    attempt_.heartbeat();
    world_.scheduler.wait(attempt_.until_next_heartbeat(), [this] { return training_ended_ || beat_now_; });
    beat_now_ = false;
  } while (!training_ended_);
  ended_ = true;
}

bool SimulatedRun::wait_until_ended(Duration timeout) {
  return world_.scheduler.wait(timeout, [this] { return ended_; });
}

}  // namespace ktrdr::simulator
