#include "ktrdr/worker/training_worker.h"

#include <gtest/gtest.h>

#include <atomic>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/worker/server_link.h"

namespace ktrdr::worker {
namespace {

using ktrdr::testing::FailsWith;
using ::testing::IsEmpty;

// A store that answers every load with one error.
class UnreadableStore final : public checkpoints::CheckpointStore {
 public:
  explicit UnreadableStore(Error answer) : answer_(std::move(answer)) {}

  Result<checkpoints::StoredCheckpoint> put(const checkpoints::CheckpointContent&) override {
    return answer_;
  }
  Result<checkpoints::VerifiedCheckpoint> load(const OperationId&, CheckpointRef) const override {
    ++loads_;
    return answer_;
  }
  Result<std::vector<CheckpointRef>> list(const OperationId&) const override { return answer_; }
  Result<std::vector<OperationId>> operations() const override { return answer_; }
  Result<void> remove(const OperationId&, CheckpointRef) override { return answer_; }
  Result<void> remove_operation(const OperationId&) override { return answer_; }
  Result<std::size_t> remove_leftovers(const OperationId&,
                                       const std::function<bool(CheckpointRef)>&) override {
    return answer_;
  }

  int loads() const { return loads_; }

 private:
  const Error answer_;
  mutable std::atomic<int> loads_ = 0;
};

struct Bench {
  explicit Bench(Error answer) : store(std::move(answer)) {
    const api::TrainingJob job{.operation_id = "op_1",
                               .attempt = 2,
                               .status = api::OperationStatus::kRunning,
                               .checkpoints = {{.ref = {1, 7}}, {.ref = {1, 6}}}};
    server.answer("GET /api/v1/operations/op_1/job", {200, api::to_json(job)});
  }

  client::testing::ScriptedServer server;
  ktrdr::testing::ManualClock clock;
  ServerLink link{{.url = server.url()}, [](const std::string&) { return std::nullopt; }};
  UnreadableStore store;
  TrainingWorker worker{clock, link, store, {{"worker-1"}, "desk"}, [](Assignment) -> std::shared_ptr<Run> {
                          ADD_FAILURE() << "nothing was claimed";
                          return nullptr;
                        }};
};

// A claim would take the operation away from a worker that can read it, a rewind would drop a checkpoint that
// is whole.
TEST(TrainingWorker, ACheckpointThatItCanNotReadIsNeitherClaimedNorRewound) {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kUnsupported}) {
    Bench bench({code, "can't be read here"});
    EXPECT_THAT(bench.worker.resume({.operation_id = "op_1"}), FailsWith(code));
    EXPECT_EQ(bench.store.loads(), 1) << "the one before is not even looked at";
    EXPECT_THAT(bench.server.requests("POST "), IsEmpty());
    EXPECT_EQ(bench.worker.health().worker_status, "idle");
  }
}

TEST(TrainingWorker, WithoutAnyGoodCheckpointItGivesItsVerdictAndClaimsNothing) {
  for (const ErrorCode code : {ErrorCode::kCheckpointCorrupted, ErrorCode::kCheckpointNotFound}) {
    Bench bench({code, "damaged"});
    EXPECT_THAT(bench.worker.resume({.operation_id = "op_1"}), FailsWith(code));
    EXPECT_EQ(bench.store.loads(), 2) << "both were tried";
    EXPECT_THAT(bench.server.requests("POST "), IsEmpty());
  }
}

TEST(TrainingWorker, AnIdThatIsNoIdReachesNobody) {
  Bench bench({ErrorCode::kIo, "x"});
  EXPECT_THAT(bench.worker.resume({.operation_id = "../../x"}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bench.worker.start({.operation_id = "../../x"}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bench.server.requests(), IsEmpty());
}

}  // namespace
}  // namespace ktrdr::worker
