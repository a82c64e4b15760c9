// What an operator's tools read: the logs of a real server and its workers, as JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;

std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("ktrdr is ready at ")) continue;  // stdout, which is for people and scripts
    const auto parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(parsed.is_object()) << file << ": " << line;
    if (parsed.is_object()) lines.push_back(parsed);
  }
  return lines;
}

// The lines that have anything to do with it, whatever key or sentence says so.
std::vector<nlohmann::json> about(const std::vector<nlohmann::json>& lines, const OperationId& id) {
  std::vector<nlohmann::json> found;
  for (const auto& line : lines) {
    if (line.dump().find(id.value) != std::string::npos) found.push_back(line);
  }
  return found;
}

int count(const std::vector<nlohmann::json>& lines, const std::string& message, int attempt,
          const nlohmann::json& worker) {
  int found = 0;
  for (const auto& line : lines) {
    found += line["message"] == message && line["attempt"] == attempt && line["worker"] == worker;
  }
  return found;
}

TEST(Logs, EachLineOfAnAttemptNamesOperationAttemptAndWorker) {
  TestSystem system({.local_workers = 0, .serve_options = {"--log-format", "json"}});
  system.start_worker("alpha", {"--log-format", "json"});
  const OperationId id = system.start_training({.strategy_yaml = demanding_strategy(40)});
  system.wait_for_step(id, 100);
  const std::string first = system.operation(id).worker_id.value_or("");
  system.signal_worker(id, SIGKILL);
  system.wait_for_status(id, OperationStatus::kFailed);
  system.start_worker("beta", {"--log-format", "json"});
  system.wait_for_a_free_worker();
  system.resume(id);
  const std::string second = system.wait_for_status(id, OperationStatus::kCompleted).worker_id.value_or("");
  EXPECT_FALSE(system.api().heartbeat(id, {.attempt = 1, .worker_id = first}).ok());

  const auto server = about(lines_of(system.folder() / "server.log"), id);
  EXPECT_EQ(count(server, "created", 1, nullptr), 1);
  EXPECT_EQ(count(server, "claimed", 1, first), 1);
  EXPECT_EQ(count(server, "lease lapsed", 1, first), 1);
  EXPECT_EQ(count(server, "resumed", 2, nullptr), 1);
  EXPECT_EQ(count(server, "claimed", 2, second), 1);
  EXPECT_EQ(count(server, "completed", 2, second), 1);
  EXPECT_EQ(count(server, "a stale request was refused", 1, first), 1);
  const auto beta = about(lines_of(system.folder() / "beta.log"), id);
  EXPECT_EQ(count(beta, "resuming", 2, second), 1);
  EXPECT_EQ(count(beta, "training ended here", 2, second), 1);
  const auto alpha = about(lines_of(system.folder() / "alpha.log"), id);
  EXPECT_EQ(count(alpha, "starting", 1, first), 1);

  for (const auto* lines : {&server, &alpha, &beta}) {
    for (const auto& line : *lines) {
      const bool has_all =
          line.value("operation", "") == id.value && line["attempt"].is_number() && line.contains("worker");
      EXPECT_TRUE(has_all) << line;
    }
  }
}

}  // namespace
}  // namespace ktrdr::system_test
