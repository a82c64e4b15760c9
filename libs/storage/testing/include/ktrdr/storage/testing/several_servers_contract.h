// What only real threads and a real database can show. Two repositories on one database stand for two
// servers.
#pragma once

#include <atomic>
#include <barrier>
#include <latch>
#include <set>
#include <thread>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

// The factory's `make` is called twice with one folder, and must answer with two stores of the same rows.
class SeveralServers : public RepositoryTest, public ::testing::WithParamInterface<RepositoryFactory> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(folder_.path(), clock_);
    other_ = GetParam().make(folder_.path(), clock_);
  }
  OperationsRepository& store() override { return *store_; }
  OperationsRepository& server(int number) { return number % 2 == 0 ? *store_ : *other_; }

  std::unique_ptr<OperationsRepository> store_, other_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SeveralServers);

TEST_P(SeveralServers, OfManyResumesAtOnceExactlyOneWinsInEveryRound) {
  constexpr int kThreads = 64, kRounds = 100;
  const OperationId id = failed();
  std::atomic<int> winners = 0, refused_as_running = 0, rounds_with_one_winner = 0;
  const auto end_round = [&]() noexcept {
    const Fence fence{get(id).attempt, {"worker-1"}};
    EXPECT_THAT(store().claim(id, fence, ""), IsOk());
    EXPECT_THAT(store().fail(id, fence, "again"), IsOk());
    rounds_with_one_winner += winners == 1 && refused_as_running == kThreads - 1 ? 1 : 0;
    winners = refused_as_running = 0;
  };
  std::barrier round(kThreads, end_round);
  std::vector<std::jthread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      for (int i = 0; i < kRounds; ++i) {
        const Result<Resumed> resumed = server(number).try_resume(id, false, {}, std::nullopt);
        if (resumed.ok()) ++winners;
        else if (resumed.error().code == ErrorCode::kConflict) ++refused_as_running;
        round.arrive_and_wait();
      }
    });
  }
  threads.clear();  // joins
  EXPECT_EQ(rounds_with_one_winner, kRounds);
  EXPECT_EQ(get(id).attempt, 1 + kRounds);
}

TEST_P(SeveralServers, OfTwoResumesAtOnceOneIsInTheHistoryAndAReaderMissesNothing) {
  const OperationId id = failed();
  std::vector<std::int64_t> seen;
  const auto read_on = [&] {
    const std::int64_t after = seen.empty() ? 0 : seen.back();
    for (const auto& event : value_of(other_->events(id, {.after = after})).events) {
      seen.push_back(event.sequence);
    }
  };
  std::jthread reader([&](std::stop_token stop) {
    while (!stop.stop_requested()) read_on();
  });
  constexpr int kRounds = 30;
  for (int round = 0; round < kRounds; ++round) {
    std::latch both(2);
    const auto resume_at = [&](OperationsRepository& server) {
      both.arrive_and_wait();
      static_cast<void>(server.try_resume(id, false, {}, std::nullopt));
    };
    {
      const std::jthread client([&] { resume_at(*other_); });
      resume_at(*store_);
    }
    ASSERT_THAT(store_->fail_unclaimed(id, 2 + round, "again"), IsOk());
  }
  reader = {};  // joins
  read_on();
  const std::int64_t last = value_of(store_->last_events({id})).at(0);
  EXPECT_EQ(last, 5 + 2 * kRounds);
  std::vector<std::int64_t> all;
  for (std::int64_t sequence = 1; sequence <= last; ++sequence) all.push_back(sequence);
  EXPECT_EQ(seen, all);
}

TEST_P(SeveralServers, OfManyWorkersExactlyOneClaims) {
  constexpr int kWorkers = 8;
  for (int round = 0; round < 20; ++round) {
    const OperationId id = create("op_" + std::to_string(round));
    std::atomic<int> claimed = 0;
    std::latch start(kWorkers);
    std::vector<std::jthread> threads;
    for (int number = 0; number < kWorkers; ++number) {
      threads.emplace_back([&, number] {
        start.arrive_and_wait();
        claimed += server(number).claim(id, {1, {"worker-" + std::to_string(number)}}, "").ok() ? 1 : 0;
      });
    }
    threads.clear();
    EXPECT_EQ(claimed, 1);
    EXPECT_EQ(get(id).version, 2);
  }
}

TEST_P(SeveralServers, OneKeySentToTwoServersAtOnceCreatesOneOperation) {
  constexpr int kRequests = 8;
  for (int round = 0; round < 20; ++round) {
    const IdempotencyKey key{"key-" + std::to_string(round), "hash"};
    std::latch start(kRequests);
    Synchronized<std::set<std::string>> answers;
    std::vector<std::jthread> threads;
    for (int number = 0; number < kRequests; ++number) {
      threads.emplace_back([&, number] {
        start.arrive_and_wait();
        const std::string id = "op_" + std::to_string(round) + "_" + std::to_string(number);
        const Created created = value_of(server(number).create(new_operation(id), key));
        answers.lock()->insert(created.operation.operation_id);
      });
    }
    threads.clear();
    EXPECT_EQ(answers.lock()->size(), 1u);
    EXPECT_EQ(value_of(store().list({})).total_count, round + 1);
  }
}

TEST_P(SeveralServers, OfACancelAndACompleteAtOnceTheRowTellsOneStory) {
  for (int round = 0; round < 30; ++round) {
    const OperationId id = create("op_" + std::to_string(round));
    const Fence fence = start(id);
    std::latch both(2);
    std::optional<Result<api::Operation>> cancelled;
    std::optional<Result<Completed>> completed;
    {
      const std::jthread client([&] {
        both.arrive_and_wait();
        cancelled = other_->request_cancel(id, "x", {});
      });
      both.arrive_and_wait();
      completed = store_->complete(id, completion(fence));
    }
    EXPECT_THAT(*completed, IsOk());  // a request alone never stops a complete
    EXPECT_EQ(get(id).status, api::OperationStatus::kCompleted);
    if (!cancelled->ok()) {
      EXPECT_THAT(*cancelled, FailsWith(ErrorCode::kConflict));
    }
    EXPECT_EQ(get(id).cancel_requested, cancelled->ok());
  }
}

TEST_P(SeveralServers, AReaderNeverSeesHalfOfACommit) {
  const OperationId id = create();
  const Fence fence = start(id);
  std::jthread reader([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      const api::TrainingJob job = value_of(other_->job(id));
      ASSERT_EQ(job.checkpoints.size(), 2u);
      ASSERT_EQ(job.checkpoints[0].parent, job.checkpoints[1].ref);
    }
  });
  for (std::int64_t sequence = 2; sequence < 100; ++sequence) {
    commit(id, fence, checkpoint({1, sequence}, CheckpointRef{1, sequence - 1}, sequence));
  }
}

}  // namespace ktrdr::storage::testing
