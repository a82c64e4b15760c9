#include "ktrdr/core/service_manager.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "ktrdr/core/testing/notify_socket.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr {
namespace {

using testing::NotifySocket;

class ServiceManagerTest : public ::testing::Test {
 protected:
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  testing::TemporaryFolder folder_;
};

TEST_F(ServiceManagerTest, SendsOneDatagramForEachMessage) {
  NotifySocket socket(folder_ / "notify");
  set("NOTIFY_SOCKET", socket.name());
  const auto manager = ServiceManager::from_environment();
  manager.ready();
  manager.alive();
  manager.stopping();
  EXPECT_EQ(socket.next_message(), "READY=1");
  EXPECT_EQ(socket.next_message(), "WATCHDOG=1");
  EXPECT_EQ(socket.next_message(), "STOPPING=1");
  EXPECT_FALSE(socket.has_message());
}

TEST_F(ServiceManagerTest, KnowsSocketsWithoutAFile) {
  NotifySocket socket("@ktrdr-test-" + std::to_string(::getpid()));
  set("NOTIFY_SOCKET", socket.name());
  ServiceManager::from_environment().ready();
  EXPECT_EQ(socket.next_message(), "READY=1");
}

TEST_F(ServiceManagerTest, IsSilentWithoutAManagerOrWithOneThatDoesNotListen) {
  ServiceManager::from_environment().ready();
  for (const std::string& name :
       {std::string("/nowhere/notify"), std::string(300, 'x'), std::string("@nobody")}) {
    set("NOTIFY_SOCKET", name);
    ServiceManager::from_environment().ready();  // comes back, and that is all
  }
}

TEST_F(ServiceManagerTest, NoChildSpeaksForUs) {
  set("NOTIFY_SOCKET", "@nobody");
  set("WATCHDOG_USEC", "1000000");
  set("WATCHDOG_PID", std::to_string(::getpid()));
  const auto manager = ServiceManager::from_environment();
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr);
}

TEST_F(ServiceManagerTest, GivesSignsOfLifeTwiceAsOftenAsTheManagerLooks) {
  const auto every = [](const std::string& microseconds, const std::string& pid) {
    set("NOTIFY_SOCKET", "@nobody");
    set("WATCHDOG_USEC", microseconds);
    set("WATCHDOG_PID", pid);
    return ServiceManager::from_environment().alive_every();
  };
  const std::string us = std::to_string(::getpid());
  EXPECT_EQ(every("30000000", us), std::chrono::seconds(15));
  EXPECT_EQ(every("30000000", ""), std::chrono::seconds(15));
  EXPECT_EQ(every("1", us), Duration(1));
  EXPECT_EQ(every("30000000", "1"), std::nullopt) << "another process is watched";
  for (const char* wrong : {"", "0", "-5", "soon", "10s"}) EXPECT_EQ(every(wrong, us), std::nullopt) << wrong;
}

}  // namespace
}  // namespace ktrdr
