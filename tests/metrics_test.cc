// What Prometheus reads from a real server, while a real worker trains.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/client/http_client.h"
#include "support/kept_connection.h"
#include "support/scrape.h"
#include "support/test_system.h"
#include "support/worker_by_hand.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using metrics::testing::Exposition;
using ::testing::HasSubstr;

double stale(const Exposition& scrape, const std::string& kind) {
  return scrape.value("ktrdr_stale_writes_refused_total", {{"kind", kind}}).value_or(-1);
}

double operations(const Exposition& scrape, const std::string& status) {
  return scrape.value("ktrdr_operations", {{"status", status}}).value_or(-1);
}

TEST(ServerMetrics, AWholeTrainingIsSeen) {
  TestSystem system;
  const Exposition before = scrape(system, system.url());
  EXPECT_EQ(before.value("ktrdr_operation_queue_seconds_count"), 0);
  EXPECT_EQ(before.value("ktrdr_checkpoints_committed_total"), 0);

  const OperationId id = system.start_training({.strategy_yaml = demanding_strategy(10)});
  const api::Operation done = system.wait_for_status(id, OperationStatus::kCompleted);
  const Exposition after = scrape_until(system, system.url(), [](Exposition& now) {
    return operations(now, "completed") == 1 && now.value("ktrdr_operations_claimed") == 0;
  });
  for (const char* other : {"pending", "running", "failed", "cancelled"})
    EXPECT_EQ(operations(after, other), 0) << other;
  EXPECT_EQ(after.value("ktrdr_operation_queue_seconds_count"), 1);
  EXPECT_LT(after.value("ktrdr_operation_queue_seconds_sum").value_or(99), 30);
  EXPECT_GE(after.value("ktrdr_checkpoints_committed_total").value_or(0), 2)
      << "the first, and every 2 epochs";
  EXPECT_GT(after.value("ktrdr_checkpoint_committed_bytes_total").value_or(0), 1000);
  EXPECT_EQ(after.value("ktrdr_checkpoint_failures_total"), 0);
  EXPECT_EQ(after.value("ktrdr_leases_lapsed_total"), 0);
  EXPECT_EQ(after.value("ktrdr_worker_calls_total", {{"call", "start"}, {"outcome", "taken"}}), 1);
  EXPECT_EQ(after.sum("ktrdr_workers"), 1);
  EXPECT_EQ(after.value("ktrdr_http_requests_total", {{"route", "/api/v1/operations/{operation_id}/complete"},
                                                      {"method", "POST"},
                                                      {"status", "2xx"}}),
            1);
  EXPECT_GT(after.value("ktrdr_disk_free_bytes", {{"place", "data"}}).value_or(0), 0);
  EXPECT_EQ(after.value("ktrdr_build_info", {{"program", "serve"}, {"version", "0.1.0"}}), 1);
  EXPECT_EQ(after.sum("ktrdr_stale_writes_refused_total"), 0);
  EXPECT_EQ(done.attempt, 1);
}

TEST(ServerMetrics, AZombiesWritesAreCountedAsWhatTheyWere) {
  TestSystem system({.local_workers = 0, .lease_seconds = WorkerByHand::kLeaseSeconds});
  WorkerByHand worker(system);
  const OperationId id = worker.resumed();  // attempt 2: whatever comes from attempt 1 is late
  EXPECT_EQ(worker.send(worker.commit(id, {1, 2}, CheckpointRef{1, 1})).outcome(), "409 STALE");
  EXPECT_EQ(worker.send(worker.complete(id, 1)).outcome(), "409 STALE");
  EXPECT_FALSE(system.api().heartbeat(id, {.attempt = 1, .worker_id = WorkerByHand::kId}).ok());
  EXPECT_FALSE(system.api().heartbeat(id, {.attempt = 1, .worker_id = WorkerByHand::kId}).ok());

  const Exposition now = scrape(system, system.url());
  EXPECT_EQ(stale(now, "checkpoint"), 1);
  EXPECT_EQ(stale(now, "complete"), 1);
  EXPECT_EQ(stale(now, "heartbeat"), 2);
  EXPECT_EQ(now.sum("ktrdr_stale_writes_refused_total"), 4);
  EXPECT_EQ(now.value("ktrdr_checkpoints_committed_total"), 2) << "the refused one is none";
  EXPECT_EQ(now.value("ktrdr_operation_queue_seconds_count"), 1) << "nobody has claimed the second attempt";
}

TEST(ServerMetrics, ASaveThatFailsIsToldByTheNextHeartbeat) {
  TestSystem system({.local_workers = 0, .lease_seconds = WorkerByHand::kLeaseSeconds});
  WorkerByHand worker(system);
  const OperationId id = worker.claimed();
  api::HeartbeatRequest beat{.attempt = 1, .worker_id = WorkerByHand::kId};
  beat.checkpoint_counts.failed = 2;
  ASSERT_TRUE(system.api().heartbeat(id, beat).ok());
  EXPECT_EQ(scrape(system, system.url()).value("ktrdr_checkpoint_failures_total"), 2);
}

TEST(ServerMetrics, ASilentWorkersLeaseAgesAndLapses) {
  TestSystem system({.local_workers = 0, .lease_seconds = 1});
  WorkerByHand worker(system);
  const OperationId id = worker.claimed();
  scrape_until(system, system.url(), [](Exposition& now) {
    return now.value("ktrdr_operations_claimed") == 1 && now.value("ktrdr_lease_age_seconds") > 0.2;
  });
  system.wait_for_status(id, OperationStatus::kFailed);
  const Exposition after = scrape_until(system, system.url(), [](Exposition& now) {
    return operations(now, "failed") == 1 && now.value("ktrdr_lease_age_seconds") == 0;
  });
  EXPECT_EQ(after.value("ktrdr_leases_lapsed_total"), 1);
}

TEST(ServerMetrics, AScrapeNeedsTheTokenAndAnAllowedHost) {
  TestSystem system({.local_workers = 0});
  client::HttpClient http;
  const auto status = [&](const std::string& method, const std::string& token) {
    const auto answer = http.request({.method = method,
                                      .url = system.url() + "/metrics",
                                      .headers = {{"Authorization", "Bearer " + token}}});
    return answer.ok() ? answer->status : 0;
  };
  EXPECT_EQ(status("GET", "wrong"), 401);
  EXPECT_EQ(status("POST", system.token()), 405);
  EXPECT_EQ(status("GET", system.token()), 200);

  const auto ask = [&](const std::string& host) {
    KeptConnection connection(std::stoi(system.url().substr(system.url().rfind(':') + 1)));
    return connection.exchange("GET /metrics HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " +
                               system.token() + "\r\n\r\n");
  };
  EXPECT_EQ(ask("evil.test").status, 403);
  EXPECT_THAT(ask("localhost").head,
              HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  const Exposition now = scrape(system, system.url());
  EXPECT_EQ(
      now.value("ktrdr_http_requests_total", {{"route", "none"}, {"method", "none"}, {"status", "4xx"}}), 3)
      << "nobody can make up a label";
}

TEST(ServerMetrics, AreAllDescribedAndNothingElseIs) {
  TestSystem system({.local_workers = 0});
  const Exposition now = scrape(system, system.url());
  EXPECT_GE(now.families().size(), 20u);
  EXPECT_EQ(difference_to_documentation(now, "The server"), "");
  EXPECT_THAT(difference_to_documentation(Exposition(""), "The server"), HasSubstr("ktrdr_operations (gauge"))
      << "it can tell";
  EXPECT_THAT(difference_to_documentation(now, "No such section"), HasSubstr("ktrdr_operations (gauge"));
}

}  // namespace
}  // namespace ktrdr::system_test
