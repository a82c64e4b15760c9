// A TCP proxy that misbehaves on request: it stands between two programs of a test and lets their bytes pass,
// lets none pass, delays them or cuts their connections. Each has one thread; the methods may be called from
// any.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::system_test {

enum class LinkMode {
  kPass,
  kBlackhole,  // connections stay and new ones are taken, but no byte goes through until the mode ends
  kDelay,      // every byte is late by `delay`
  kReset,      // every connection is cut with a RST, new ones too
};

class FaultProxy {
 public:
  // On a free port of one of this machine's addresses; refuses until it knows where to.
  explicit FaultProxy(std::string host = "127.0.0.1");
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  int port() const { return port_; }
  std::string url() const { return "http://" + host_ + ":" + std::to_string(port_); }

  // Where new connections go: a port of this machine, or a socket's path.
  void forward_to(int port);
  void forward_to(const std::filesystem::path& socket);

  void set_mode(LinkMode mode, Duration delay = Duration(0));
  void reset_once();  // cuts what is open; new connections pass

  // How often this text came back from the other side.
  void count_answers_with(const std::string& needle);
  std::int64_t counted() const { return counted_; }

 private:
  struct Connection;
  struct Orders {
    LinkMode mode = LinkMode::kPass;
    Duration delay{0};
    int port = 0;
    std::filesystem::path socket;
    bool reset_once = false;
    std::string needle;
  };

  void serve(std::stop_token stop);
  void obey(const Orders& orders);
  void accept_new(const Orders& orders);
  void wait_for_something(const Orders& orders);
  void move_bytes(const Orders& orders);
  void wake();

  const std::string host_;
  int listener_ = -1, port_ = 0;
  int wake_read_ = -1, wake_write_ = -1;
  std::atomic<std::int64_t> counted_ = 0;
  Synchronized<Orders> orders_;
  std::vector<std::unique_ptr<Connection>> connections_;  // the thread's own
  SystemClock clock_;
  std::jthread thread_;
};

}  // namespace ktrdr::system_test
