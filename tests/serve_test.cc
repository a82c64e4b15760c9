// The server as a process: what it starts, what it refuses, how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/testing/notify_socket.h"
#include "support/kept_connection.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ::testing::HasSubstr;
using ::testing::Not;

TrainingWish quick() { return {.strategy_yaml = demanding_strategy(3)}; }
TrainingWish endless() { return {.strategy_yaml = demanding_strategy(5000)}; }

TEST(Serve, LinksNoTensorLibrary) {
  const auto linked =
      run({.program = "/usr/bin/ldd", .arguments = {std::filesystem::path(KTRDR_PROGRAMS) / "ktrdr"}});
  EXPECT_EQ(linked.exit_code, 0);
  EXPECT_THAT(linked.out, HasSubstr("libc.so"));
  for (const char* library : {"torch", "c10", "openblas", "libblas"})
    EXPECT_THAT(linked.out, Not(HasSubstr(library)));
}

TEST(Serve, ASecondServerOnTheSameDataIsRefused) {
  TestSystem system({.local_workers = 0});
  const auto second = system.ktrdr({"serve", "--data-dir", system.data_dir(), "--port", "0"});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_THAT(second.err, HasSubstr("Another ktrdr server"));
  EXPECT_TRUE(system.api().health().ok()) << "the first one goes on";
}

TEST(Serve, ATakenPortIsAClearError) {
  TestSystem system({.local_workers = 0});
  const std::string url = system.url();
  const auto refused = system.ktrdr({"serve", "--data-dir", system.folder() / "other", "--local-workers", "0",
                                     "--port", url.substr(url.rfind(':') + 1)});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("port"));
}

TEST(Serve, NoAuthIsForLoopbackOnly) {
  TestSystem system({.local_workers = 0});
  const auto refused = system.ktrdr({"serve", "--data-dir", system.folder() / "other", "--local-workers", "0",
                                     "--port", "0", "--address", "0.0.0.0", "--no-auth"});
  EXPECT_NE(refused.exit_code, 0);
}

// Ten thousand workers keep a connection each; a process may open 1024 files unless it asks for more.
TEST(Serve, TakesMoreConnectionsThanAProcessUsuallyMayHave) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit usual{1024, files.rlim_max}, ours{files.rlim_max, files.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  TestSystem system({.local_workers = 0});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &ours), 0);
  const int port = std::stoi(system.url().substr(system.url().rfind(':') + 1));
  std::vector<std::unique_ptr<KeptConnection>> workers;
  for (int i = 0; i < 1500; ++i) workers.push_back(std::make_unique<KeptConnection>(port));
  EXPECT_TRUE(system.api().health().ok());
  const std::string request = "GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  EXPECT_EQ(workers.front()->exchange(request).status, 200);
  EXPECT_EQ(workers.back()->exchange(request).status, 200);
}

TEST(Serve, TheTokenFileIsPrivate) {
  TestSystem system({.local_workers = 0});
  const auto mode = std::filesystem::status(system.data_dir() / "token").permissions();
  EXPECT_EQ(mode & std::filesystem::perms(077), std::filesystem::perms::none);
  EXPECT_GE(system.token().size(), 64u) << "256 bits";
}

TEST(Serve, RestartsALocalWorkerThatDied) {
  TestSystem system;
  system.wait_for_workers(1);
  const auto first = system.api().workers()->front();
  ::kill(static_cast<pid_t>(std::stol(api::member_of(first.capabilities, "pid"))), SIGKILL);
  EXPECT_TRUE(eventually([&] {
    const auto workers = system.api().workers();
    return workers.ok() && std::any_of(workers->begin(), workers->end(), [&](const auto& worker) {
             return worker.worker_id != first.worker_id && worker.status == "available";
           });
  }));
}

// A worker program that can't run at all: later each time, and nobody has to guess why.
TEST(Serve, AWorkerThatKeepsDyingIsToldOfWithTheEndOfItsLog) {
  TestSystem any({.local_workers = 0});
  const auto broken = any.folder() / "broken-worker";
  ASSERT_TRUE(replace_file_durably(broken, "#!/bin/sh\necho 'no library libtorch'\nexit 7\n").ok());
  std::filesystem::permissions(broken, std::filesystem::perms::owner_all);
  Command command = any.ktrdr_command(
      {"serve", "--data-dir", any.folder() / "other", "--port", "0", "--worker-program", broken});
  command.output = any.folder() / "serve.log";
  ChildProcess server(command);
  const auto health = [&]() -> Result<api::HealthResponse> {
    TRY_ASSIGN(const auto address, client::find_server({.data_dir = any.folder() / "other"},
                                                       [](const auto&) { return std::nullopt; }));
    return client::ApiClient(address).health();
  };
  ASSERT_TRUE(eventually([&] {
    const auto answer = health();
    return answer.ok() && answer->problems;
  }));
  EXPECT_THAT(health()->problems->front(), HasSubstr("keeps dying"));
  EXPECT_THAT(health()->problems->front(), HasSubstr("exit code 7"));
  EXPECT_THAT(*read_file(command.output, 1'000'000), HasSubstr("no library libtorch"));
  for (const char* word : {"workers", "status"}) {
    const Finished shown = any.ktrdr({word, "--data-dir", any.folder() / "other"});
    EXPECT_THAT(shown.out + shown.err, HasSubstr("keeps dying")) << word;
  }
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(std::chrono::seconds(15)), 0);
}

TEST(Serve, KeepsAsManyLocalWorkersAsItWasToldTo) {
  TestSystem system({.local_workers = 3});
  system.wait_for_workers(3);
  std::set<std::string> names;
  for (const auto& worker : *system.api().workers()) names.insert(worker.name);
  EXPECT_EQ(names, (std::set<std::string>{"local-0", "local-1", "local-2"}));
}

// ---- the service manager ----

TEST(Serve, TellsTheServiceManagerHowItIs) {
  TestSystem any({.local_workers = 0});
  testing::NotifySocket manager(any.folder() / "notify");
  Command command = any.ktrdr_command(
      {"serve", "--data-dir", any.folder() / "other", "--port", "0", "--local-workers", "0"});
  command.environment = {{"NOTIFY_SOCKET", manager.name()}, {"WATCHDOG_USEC", "200000"}};
  ChildProcess server(command);
  EXPECT_EQ(manager.next_message(), "READY=1");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(manager.next_message(), "WATCHDOG=1");
  server.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return manager.next_message() == "STOPPING=1"; }));
  EXPECT_EQ(server.wait(std::chrono::seconds(15)), 0);
}

TEST(Serve, AWorkerTellsItsServiceManagerHowItIs) {
  TestSystem any({.local_workers = 0});
  testing::NotifySocket manager(any.folder() / "notify");
  ChildProcess worker({.program = std::filesystem::path(KTRDR_PROGRAMS) / "ktrdr-worker",
                       .arguments = {"--data-dir", any.data_dir()},
                       .environment = {{"NOTIFY_SOCKET", manager.name()}, {"WATCHDOG_USEC", "200000"}}});
  EXPECT_EQ(manager.next_message(), "READY=1");
  EXPECT_EQ(manager.next_message(), "WATCHDOG=1");
  worker.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return manager.next_message() == "STOPPING=1"; }));
  EXPECT_EQ(worker.wait(std::chrono::seconds(25)), 0);
}

TEST(Serve, TheUnitsForSystemdAreValid) {
  if (!std::filesystem::exists("/usr/bin/systemd-analyze")) GTEST_SKIP() << "no systemd here";
  testing::TemporaryFolder folder;
  for (const std::string name : {"ktrdr.service", "ktrdr-worker@.service"}) {
    std::string unit =
        *read_file(std::filesystem::path(KTRDR_SOURCE_DIR) / "packaging/systemd" / name, 100'000);
    for (auto at = unit.find("/usr/bin/ktrdr"); at != std::string::npos; at = unit.find("/usr/bin/ktrdr"))
      unit.replace(at, std::string_view("/usr/bin").size(), KTRDR_PROGRAMS);
    ASSERT_TRUE(replace_file_durably(folder / name, unit).ok());
  }
  const auto verified = run({.program = "/usr/bin/systemd-analyze",
                             .arguments = {"verify", "--recursive-errors=no", folder / "ktrdr.service",
                                           folder / "ktrdr-worker@.service"}});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.out + verified.err, "");
}

// The worker in its slot survives the server, and a restarted server starts no second one beside it.
TEST(Serve, ASlotHoldsOneWorkerAcrossServerRestarts) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 1);
  const pid_t worker = system.worker_pid(id);
  for (int i = 0; i < 3; ++i) {
    system.kill_server();
    system.start_server();
    ASSERT_TRUE(eventually([&] { return system.worker_pid(id) == worker; }));
    EXPECT_EQ(system.api().workers()->size(), 1u);
  }
  EXPECT_TRUE(system.api().cancel(id, {}).ok());
}

TEST(Serve, SigtermEndsTheServerAndNotTheTraining) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  const auto before = system.wait_for_step(id, 10);
  const pid_t worker = system.worker_pid(id);
  EXPECT_EQ(system.stop_server(), 0);
  EXPECT_EQ(::kill(worker, 0), 0) << "the worker trains on";
  system.start_server();
  const auto after = system.wait_for_step(id, before.progress.context.global_step + 50);
  EXPECT_EQ(after.status, OperationStatus::kRunning);
  EXPECT_EQ(after.attempt, before.attempt);
  EXPECT_TRUE(system.api().cancel(id, {}).ok());
}

TEST(Serve, SigtermTakesIdleLocalWorkersAlong) {
  TestSystem system;
  system.wait_for_workers(1);
  const pid_t worker =
      static_cast<pid_t>(std::stol(api::member_of(system.api().workers()->front().capabilities, "pid")));
  EXPECT_EQ(system.stop_server(), 0);
  EXPECT_TRUE(eventually([&] { return ::kill(worker, 0) != 0; }));
}

TEST(Serve, OperationsWaitForAWorkerOldestFirst) {
  TestSystem system({.local_workers = 0});
  const OperationId first = system.start_training(quick());
  const OperationId second = system.start_training(quick());
  EXPECT_EQ(system.operation(first).phase, api::Phase::kQueued);
  system.start_worker("late");
  const auto one = system.wait_for_status(first, OperationStatus::kCompleted);
  const auto two = system.wait_for_status(second, OperationStatus::kCompleted);
  EXPECT_LT(*one.started_at, *two.started_at);
}

TEST(Serve, CancelOfAQueuedOperationNeedsNoWorkerAndCannotBeResumed) {
  TestSystem system({.local_workers = 0});
  const OperationId id = system.start_training(quick());
  const auto cancelled = system.api().cancel(id, {});
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->data.status, OperationStatus::kCancelled);
  EXPECT_EQ(system.api().resume(id, {}).error().code, ErrorCode::kCheckpointNotFound);
  EXPECT_EQ(system.api().cancel(id, {}).error().code, ErrorCode::kConflict) << "it has ended already";
}

TEST(Serve, ACancelWhoseWorkerIsDeadEndsWithTheLease) {
  TestSystem system({.local_workers = 0});
  ChildProcess& worker = system.start_worker("alpha");
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  worker.signal(SIGSTOP);
  const auto cancelled = system.api().cancel(id, {});
  ASSERT_TRUE(cancelled.ok()) << cancelled.error().describe();
  EXPECT_EQ(cancelled->data.status, OperationStatus::kCancelled);
}

TEST(Serve, SigtermOfAWorkerEndsInTimeAlsoWhenTheServerDoesNotAnswer) {
  TestSystem system({.local_workers = 0});
  ChildProcess& worker = system.start_worker("alpha");
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  system.server().signal(SIGSTOP);
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.wait(std::chrono::seconds(25)), 0);
  system.server().signal(SIGCONT);
  // What the worker had sent is read now and hands the operation back; else its lease lapses.
  EXPECT_TRUE(eventually([&] { return is_resumable(system.operation(id).status); }));
  EXPECT_TRUE(system.operation(id).checkpoint.has_value());
}

TEST(Serve, LocalWorkersDoNotFollowTheCallersVariablesElsewhere) {
  TestSystem system({.local_workers = 0});
  Command command = system.ktrdr_command({"serve", "--data-dir", system.folder() / "other", "--port", "0"});
  command.environment = {{"KTRDR_API_URL", system.url()}, {"KTRDR_API_TOKEN", system.token()}};
  const ChildProcess other(command);
  EXPECT_TRUE(eventually([&] {
    const auto found = client::find_server({.data_dir = system.folder() / "other"},
                                           [](const auto&) { return std::nullopt; });
    if (!found.ok() || found->url.find(":8000") != std::string::npos) return false;
    const auto workers = client::ApiClient(*found).workers();
    return workers.ok() && workers->size() == 1;
  })) << "its worker registers with the server that started it";
  EXPECT_TRUE(system.api().workers()->empty());
  for (const auto& worker :
       *client::ApiClient(*client::find_server({.data_dir = system.folder() / "other"}, [](const auto&) {
          return std::nullopt;
        })).workers()) {
    ::kill(static_cast<pid_t>(std::stol(api::member_of(worker.capabilities, "pid"))), SIGKILL);
  }
}

TEST(Serve, ARunningOrCompletedOperationIsNotResumed) {
  TestSystem system;
  const OperationId running = system.start_training(endless());
  system.wait_for_step(running, 1);
  EXPECT_EQ(system.api().resume(running, {}).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(system.api().cancel(running, {}).ok());
  const OperationId done = system.start_training(quick());
  const auto completed = system.wait_for_status(done, OperationStatus::kCompleted);
  EXPECT_EQ(system.api().resume(done, {}).error().code, ErrorCode::kConflict);
  EXPECT_FALSE(completed.checkpoint.has_value()) << "a finished model needs no checkpoints";
  EXPECT_TRUE(eventually([&] {
    const auto folder = system.data_dir() / "checkpoints" / done.value;
    return !std::filesystem::exists(folder) || std::filesystem::is_empty(folder);
  }));
}

TEST(Serve, ChangedDataIsRefusedAtResumeUnlessAllowed) {
  TestSystem system;
  TrainingWish wish = endless();
  const OperationId id = system.start_training(wish);
  system.wait_for_step(id, 10);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  const auto file = system.market() / "TEST_1h.csv";
  std::string text = *read_file(file, 100'000'000);
  const auto line = text.find('\n', text.size() / 2);
  const auto digit = text.find_last_of("0123456789", text.rfind(',', text.find('\n', line + 1)) - 1);
  text[digit] = text[digit] == '5' ? '6' : '5';
  ASSERT_TRUE(replace_file_durably(file, text).ok());

  system.resume(id);
  const auto refused = system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_THAT(refused.error_message.value_or(""), HasSubstr("--allow-changes"));
  ASSERT_TRUE(system.api().resume(id, {.allow_changes = true}).ok());
  system.wait_for_step(id, refused.progress.context.global_step + 50);
  EXPECT_TRUE(system.api().cancel(id, {}).ok());
}

TEST(Serve, RowsAppendedLaterDoNotMatter) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  const auto file = system.market() / "TEST_1h.csv";
  std::string text = *read_file(file, 100'000'000);
  text += "2090-01-01T00:00:00Z,1.5,1.6,1.4,1.5,100\n";
  ASSERT_TRUE(replace_file_durably(file, text).ok());
  const auto before = system.operation(id).progress.context.global_step;
  system.resume(id);
  EXPECT_EQ(system.wait_for_step(id, before + 50).status, OperationStatus::kRunning);
  EXPECT_TRUE(system.api().cancel(id, {}).ok());
}

}  // namespace
}  // namespace ktrdr::system_test
