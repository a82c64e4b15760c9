// The proxy that the chaos suite puts between programs.
#include "support/fault_proxy.h"

#include <gtest/gtest.h>

#include "ktrdr/client/http_client.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

class FaultProxyTest : public ::testing::Test {
 protected:
  FaultProxyTest() : system_({.local_workers = 0}) {
    proxy_.forward_to(std::stoi(system_.url().substr(system_.url().rfind(':') + 1)));
  }

  // The status, 0 without an answer.
  int health(Duration within = std::chrono::seconds(10)) {
    const auto answer = http_.request({.url = proxy_.url() + "/api/v1/health", .timeout = within});
    return answer.ok() ? answer->status : 0;
  }

  TestSystem system_;
  FaultProxy proxy_;
  client::HttpClient http_;
  SystemClock clock_;
};

TEST_F(FaultProxyTest, LetsBytesPass) {
  EXPECT_EQ(health(), 200);
  EXPECT_EQ(health(), 200) << "the connection was kept";
}

TEST_F(FaultProxyTest, InABlackHoleNobodyIsHeardAndAfterwardsEverybody) {
  ASSERT_EQ(health(), 200);
  proxy_.set_mode(LinkMode::kBlackhole);
  EXPECT_EQ(health(Duration(300)), 0);
  proxy_.set_mode(LinkMode::kPass);
  EXPECT_EQ(health(), 200);
}

TEST_F(FaultProxyTest, DelaysBothWays) {
  ASSERT_EQ(health(), 200);
  proxy_.set_mode(LinkMode::kDelay, Duration(150));
  const Duration begin = clock_.monotonic();
  EXPECT_EQ(health(), 200);
  EXPECT_GE(clock_.monotonic() - begin, Duration(300));
}

TEST_F(FaultProxyTest, ResetsWhatIsOpenAndWhatComes) {
  ASSERT_EQ(health(), 200);
  proxy_.set_mode(LinkMode::kReset);
  EXPECT_EQ(health(), 0);
  proxy_.set_mode(LinkMode::kPass);
  EXPECT_EQ(health(), 200);
}

TEST_F(FaultProxyTest, CountsWhatComesBack) {
  ASSERT_EQ(health(), 200) << "with it the document that answers are held against";
  proxy_.count_answers_with("workers_connected");
  ASSERT_EQ(health(), 200);
  ASSERT_EQ(health(), 200);
  EXPECT_EQ(proxy_.counted(), 2);
}

TEST_F(FaultProxyTest, AServerThatIsGoneIsARefusal) {
  ASSERT_EQ(health(), 200);
  system_.kill_server();
  EXPECT_EQ(health(), 0);
  system_.start_server();
  proxy_.forward_to(std::stoi(system_.url().substr(system_.url().rfind(':') + 1)));
  EXPECT_EQ(health(), 200);
}

}  // namespace
}  // namespace ktrdr::system_test
