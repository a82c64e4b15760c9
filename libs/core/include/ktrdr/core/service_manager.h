// What a service tells the manager that started it (systemd's notify protocol: one datagram per message to
// the socket that NOTIFY_SOCKET names). Without a manager every call does nothing.
//
// Owned by main() and used by one thread. Make one before the first other thread starts: it takes its
// variables out of the environment, so that no child speaks for us.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ktrdr/core/clock.h"

namespace ktrdr {

class ServiceManager {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  static ServiceManager from_environment();

  void ready() const { tell("READY=1"); }
  void stopping() const { tell("STOPPING=1"); }
  void alive() const { tell("WATCHDOG=1"); }

  // How often alive() is to be called: half of the time after which the manager would kill us. Nothing when
  // it doesn't watch this process.
  std::optional<Duration> alive_every() const { return alive_every_; }

 private:
  // A manager that does not listen is no reason to stop: what can't be sent is dropped.
  void tell(std::string_view message) const;

  std::string socket_;
  std::optional<Duration> alive_every_;
};

}  // namespace ktrdr
