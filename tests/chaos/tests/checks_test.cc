// The chaos suite's own checks can fail: every mistake that they are there for is made here by hand.
#include <gtest/gtest.h>

#include "audit.h"
#include "book.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::chaos {
namespace {

using ktrdr::testing::IsOk;
using storage::testing::PostgresCluster;

// ---- the table ----

class ChaosScore : public ::testing::Test {
 protected:
  ChaosScore() {
    for (int fault = 0; fault < static_cast<int>(Fault::kEnd); ++fault)
      everything_struck(static_cast<Fault>(fault));
    for (const Count count :
         {Count::kStaleWritesRefusedByHand, Count::kStaleWritesRefusedOfWorkers,
          Count::kOperationsAcknowledged, Count::kOperationsCompleted, Count::kCheckpointsAcknowledged,
          Count::kCheckpointsVerified, Count::kRequestsRepeated, Count::kCancels, Count::kResumes}) {
      score_.add(count);
    }
  }
  void everything_struck(Fault fault) {
    if (fault != Fault::kDiskFull) score_.struck(fault);
  }

  Score score_;
};

TEST_F(ChaosScore, IsGoodWhenEverythingStruckAndNothingWasLost) {
  score_.struck(Fault::kDiskFull);
  EXPECT_TRUE(score_.print({}));
}

TEST_F(ChaosScore, IsBadWhenAFaultNeverStruck) { EXPECT_FALSE(score_.print({})); }

TEST_F(ChaosScore, AFaultThatIsImpossibleHereNeedNotStrike) {
  score_.impossible(Fault::kDiskFull, "no mounts");
  EXPECT_TRUE(score_.print({}));
}

TEST_F(ChaosScore, IsBadWhenAnythingWasLost) {
  score_.struck(Fault::kDiskFull);
  score_.wrong(Count::kModelsDiffer, "one bit");
  EXPECT_FALSE(score_.print({}));
}

TEST_F(ChaosScore, IsBadWithFewerKillsThanWereAskedFor) {
  score_.struck(Fault::kDiskFull);
  EXPECT_EQ(score_.kills(), 3);
  EXPECT_TRUE(score_.print({.kills = 3, .freezes = 3}));
  EXPECT_FALSE(score_.print({.kills = 4, .freezes = 3}));
  EXPECT_FALSE(score_.print({.kills = 3, .freezes = 4}));
}

// ---- the triggers ----

class ChaosAudit : public ::testing::Test {
 protected:
  static constexpr const char* kDatabase = "audited";

  ChaosAudit() {
    cluster_.drop_database(kDatabase);
    cluster_.create_database(kDatabase);
    auto store = storage::open_postgres_repository(cluster_.uri(kDatabase), clock_);
    EXPECT_THAT(store, IsOk());
    store_ = std::move(*store);
    install_audit(cluster_, kDatabase);
    EXPECT_THAT(store_->create(storage::testing::new_operation("op"), std::nullopt), IsOk());
    EXPECT_THAT(store_->claim({"op"}, fence_, "alpha"), IsOk());
    EXPECT_THAT(store_->commit_checkpoint({"op"}, fence_, storage::testing::checkpoint({1, 0}, std::nullopt)),
                IsOk());
    EXPECT_THAT(
        store_->commit_checkpoint({"op"}, fence_, storage::testing::checkpoint({1, 1}, CheckpointRef{1, 0})),
        IsOk());
  }

  void change(const std::string& what) {
    cluster_.query(kDatabase, "SET search_path = ktrdr; UPDATE operations SET " + what);
  }
  std::int64_t found(Count count) {
    count_audit(cluster_, kDatabase, score_);
    return score_.of(count);
  }

  PostgresCluster& cluster_ = PostgresCluster::shared();
  SystemClock clock_;
  std::unique_ptr<storage::OperationsRepository> store_;
  const storage::Fence fence_{1, {"worker-1"}};
  Score score_;
};

TEST_F(ChaosAudit, CountsCommitsAndFindsNothingWrongInALife) {
  ASSERT_THAT(store_->fail({"op"}, fence_, "out of memory"), IsOk());
  ASSERT_THAT(store_->try_resume({"op"}, false, {}, std::nullopt), IsOk());
  const storage::Fence again{2, {"worker-2"}};
  ASSERT_THAT(store_->claim({"op"}, again, "beta"), IsOk());
  ASSERT_THAT(store_->complete({"op"}, storage::testing::completion(again)), IsOk());
  EXPECT_EQ(found(Count::kCheckpointsAcknowledged), 2);
  for (const Count count : {Count::kStaleWritesAccepted, Count::kCheckpointsLost, Count::kRewinds}) {
    EXPECT_EQ(score_.of(count), 0);
  }
}

TEST_F(ChaosAudit, FindsAnAttemptThatChangesHands) {
  change("owner = 'worker-2'");
  EXPECT_EQ(found(Count::kStaleWritesAccepted), 1);
}

// Somebody else could claim it then, and both would be within their rights.
TEST_F(ChaosAudit, FindsAnAttemptThatIsGivenAwayWithoutANewNumber) {
  change("owner = NULL");
  EXPECT_EQ(found(Count::kStaleWritesAccepted), 1);
}

TEST_F(ChaosAudit, FindsAnAttemptThatGoesBackOrSkips) {
  change("attempt = 3");
  change("attempt = 1");
  EXPECT_EQ(found(Count::kStaleWritesAccepted), 2);
}

TEST_F(ChaosAudit, FindsAnEndThatIsNone) {
  ASSERT_THAT(store_->fail({"op"}, fence_, "out of memory"), IsOk());
  change("status = 'running', completed_at = NULL");
  EXPECT_EQ(found(Count::kStaleWritesAccepted), 1);
}

TEST_F(ChaosAudit, FindsACheckpointOfAnotherAttempt) {
  cluster_.query(
      kDatabase,
      "SET search_path = ktrdr; INSERT INTO checkpoints (operation_id, attempt, sequence, checkpoint_type,"
      " start_epoch, start_batch, global_step, created_at, size_bytes, manifest_digest)"
      " VALUES ('op', 7, 9, 'periodic', 0, 0, 0, '', 1, '')");
  EXPECT_EQ(found(Count::kStaleWritesAccepted), 1);
}

TEST_F(ChaosAudit, FindsAPointerThatIsLostOrGoesBack) {
  change("checkpoint_attempt = 1, checkpoint_sequence = 0");
  change("checkpoint_attempt = NULL, checkpoint_sequence = NULL");
  EXPECT_EQ(found(Count::kRewinds), 1);
  EXPECT_EQ(score_.of(Count::kCheckpointsLost), 1);
}

TEST_F(ChaosAudit, FindsAnOperationThatIsGone) {
  // Without the other tables' objections, whichever there are.
  cluster_.query(kDatabase,
                 "SET search_path = ktrdr; ALTER TABLE operations ENABLE ALWAYS TRIGGER chaos_delete;"
                 " SET session_replication_role = replica; DELETE FROM operations");
  EXPECT_EQ(found(Count::kCheckpointsLost), 1);
}

// ---- what is asked again ----

TEST(ChaosBook, AnOwnerIsSupersededOnceANewerAttemptWasSeen) {
  Book book;
  Random random(1);
  book.saw_owner({{"op"}, 1, "worker-1"});
  book.saw_attempt({"op"}, 1);
  EXPECT_FALSE(book.superseded_owner(random).has_value());
  book.saw_attempt({"op"}, 2);
  ASSERT_TRUE(book.superseded_owner(random).has_value());
  EXPECT_EQ(book.superseded_owner(random)->worker, "worker-1");
}

}  // namespace
}  // namespace ktrdr::chaos
