// `ktrdr serve --max-restarts N`: nobody has to look when a worker dies, fails or is shut down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ::testing::HasSubstr;

TrainingWish wish() { return {.strategy_yaml = demanding_strategy(40)}; }
// A weight decay beyond what a weight can hold: the training fails at the same batch every time.
std::string exploding_strategy() {
  std::string text = demanding_strategy(40);
  constexpr std::string_view kUsual = "weight_decay: 0.0001";
  return text.replace(text.find(kUsual), kUsual.size(), "weight_decay: 1.0e+39");
}

TrainingWish endless() { return {.strategy_yaml = demanding_strategy(5000)}; }

const Fingerprint& undisturbed() {
  static const Reference reference = train_undisturbed(wish());
  return reference.fingerprint;
}
class ReferenceFirst final : public ::testing::Environment {
  void SetUp() override { undisturbed(); }
};
const auto* const kReferenceFirst = ::testing::AddGlobalTestEnvironment(new ReferenceFirst);

SystemOptions restarting(int times, int local_workers = 1) {
  return {.local_workers = local_workers, .serve_options = {"--max-restarts", std::to_string(times)}};
}

void wait_for_attempt(TestSystem& system, const OperationId& id, std::int64_t attempt) {
  ASSERT_TRUE(eventually([&] {
    const api::Operation now = system.operation(id);
    return now.attempt == attempt && now.worker_id && now.phase == api::Phase::kTraining;
  })) << api::to_json(system.operation(id));
}

TEST(AutomaticRestarts, AKilledWorkersTrainingGoesOnByItselfToTheSameModel) {
  TestSystem system(restarting(3));
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 100);
  system.signal_worker(id, SIGKILL);
  const api::Operation done = system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  EXPECT_EQ(done.attempt, 2);
  EXPECT_EQ(done.restarts, 1);
  const Finished shown = system.ktrdr({"status", id.value});
  EXPECT_THAT(shown.out, HasSubstr("1 time, last because: Worker local-0"));
  EXPECT_THAT(shown.out, HasSubstr("fell silent"));
}

TEST(AutomaticRestarts, AFrozenWorkerIsReplacedAndStopsWhenItWakes) {
  TestSystem system(restarting(3, 0));
  ChildProcess& frozen = system.start_worker("alpha");
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 100);
  frozen.signal(SIGSTOP);
  system.start_worker("beta");
  wait_for_attempt(system, id, 2);
  frozen.signal(SIGCONT);
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  EXPECT_EQ(system.operation(id).attempt, 2) << "nothing of the first attempt was accepted";
}

TEST(AutomaticRestarts, SigtermHandsTheOperationToAnotherWorker) {
  TestSystem system(restarting(1, 0));
  ChildProcess& alpha = system.start_worker("alpha", {"--requeue-exit", "75"});
  ChildProcess& beta = system.start_worker("beta", {"--requeue-exit", "75"});
  system.wait_for_workers(2);
  const OperationId id = system.start_training(wish());
  const bool alpha_trains = system.wait_for_step(id, 100).worker_name == "alpha";
  ChildProcess& first = alpha_trains ? alpha : beta;
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(std::chrono::seconds(25)), 75);
  const api::Operation done = system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  EXPECT_EQ(done.attempt, 2);
  EXPECT_EQ(done.worker_name, alpha_trains ? "beta" : "alpha");
  EXPECT_FALSE(done.restarts) << "a shutdown is no failure";
  EXPECT_THAT(done.restart_reason.value_or(""),
              HasSubstr(alpha_trains ? "alpha was shut down" : "beta was shut down"));
}

TEST(AutomaticRestarts, AnIdleWorkerThatIsShutDownExitsWithZero) {
  TestSystem system(restarting(1, 0));
  ChildProcess& idle = system.start_worker("alpha", {"--requeue-exit", "75"});
  system.wait_for_workers(1);
  idle.signal(SIGTERM);
  EXPECT_EQ(idle.wait(std::chrono::seconds(25)), 0);
}

TEST(AutomaticRestarts, ACancelOfADeadWorkersOperationWins) {
  TestSystem system(restarting(3, 0));
  ChildProcess& worker = system.start_worker("alpha");
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  worker.signal(SIGSTOP);
  const auto cancelled = system.api().cancel(id, {});
  ASSERT_TRUE(cancelled.ok()) << cancelled.error().describe();
  EXPECT_EQ(cancelled->data.status, OperationStatus::kCancelled);
  EXPECT_EQ(system.operation(id).attempt, 1);
}

TEST(AutomaticRestarts, AfterTheLastOneTheOperationFailsAndAPersonCanResumeIt) {
  TestSystem system(restarting(1));
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  system.signal_worker(id, SIGKILL);
  wait_for_attempt(system, id, 2);
  system.signal_worker(id, SIGKILL);
  const api::Operation failed = system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_THAT(failed.error_message.value_or(""), HasSubstr("--max-restarts"));
  system.resume(id);
  wait_for_attempt(system, id, 3);
  EXPECT_FALSE(system.operation(id).restarts) << "counted anew";
  EXPECT_TRUE(system.api().cancel(id, {}).ok());
}

TEST(AutomaticRestarts, ABatchThatFailsTwiceIsNamedAndNotTriedAThirdTime) {
  TestSystem system(restarting(5));
  const OperationId id = system.start_training({.strategy_yaml = exploding_strategy()});
  const api::Operation failed = system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_EQ(failed.attempt, 2);
  EXPECT_THAT(failed.error_message.value_or(""), HasSubstr("failed twice in a row"));
}

TEST(AutomaticRestarts, ANumberThatMakesNoSenseIsRefused) {
  TestSystem any({.local_workers = 0});
  const Finished refused = any.ktrdr({"serve", "--data-dir", any.folder() / "other", "--port", "0",
                                      "--local-workers", "0", "--max-restarts", "-1"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--max-restarts"));
}

}  // namespace
}  // namespace ktrdr::system_test
