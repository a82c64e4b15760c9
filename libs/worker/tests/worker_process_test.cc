// What a worker process says of its registration.
#include "ktrdr/worker/worker_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/training/testing/fake_engine.h"

namespace ktrdr::worker {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRegister = "POST /api/v1/workers/register";

client::testing::ScriptedAnswer refusal(const std::string& why) {
  return {403, R"({"success":false,"detail":")" + why + R"(","error":{"code":"FORBIDDEN","message":")" + why +
                   R"("}})"};
}

class WorkerProcessTest : public ::testing::Test {
 protected:
  // The log of a worker that lives until it has asked so often.
  std::string log_after(std::size_t registrations) {
    ::testing::internal::CaptureStderr();
    WorkerOptions options;
    options.server.url = server_.url();
    options.data_dir = folder_ / "data";
    auto worker = WorkerProcess::start(clock_, engines_, std::move(options),
                                       [](const std::string&) { return std::nullopt; });
    EXPECT_THAT(worker, testing::IsOk());
    const Duration end = clock_.monotonic() + std::chrono::seconds(20);
    while (server_.requests(kRegister).size() < registrations && clock_.monotonic() < end)
      std::this_thread::sleep_for(Duration(5));
    worker->reset();  // has said what it had to say
    EXPECT_GE(server_.requests(kRegister).size(), registrations);
    return ::testing::internal::GetCapturedStderr();
  }

  const testing::TemporaryFolder folder_;
  SystemClock clock_;
  training::testing::FakeEngineFactory engines_;
  client::testing::ScriptedServer server_;
};

// Else nobody would know why it gets no work.
TEST_F(WorkerProcessTest, ThatIsRefusedSaysWhyOnce) {
  server_.answer(kRegister, refusal("Wrong host."));
  server_.answer(kRegister, refusal("Wrong host."));
  server_.answer(kRegister, refusal("Wrong address."));
  const std::string log = log_after(3);
  EXPECT_THAT(log, ContainsRegex("warning.*the server refuses this worker.*Wrong host"));
  EXPECT_THAT(log, ContainsRegex("warning.*the server refuses this worker.*Wrong address"));
  EXPECT_EQ(log.find("Wrong host"), log.rfind("Wrong host"));
}

TEST_F(WorkerProcessTest, WhoseServerIsInTroubleWaitsInSilence) {
  server_.answer(kRegister, {503, R"({"success":false,"detail":"Later.","error":{"code":"UNAVAILABLE"}})"});
  EXPECT_THAT(log_after(2), Not(HasSubstr("warning")));
}

}  // namespace
}  // namespace ktrdr::worker
