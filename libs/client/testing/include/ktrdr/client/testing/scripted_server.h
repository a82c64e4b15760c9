// A real HTTP/1.1 server on a free port of 127.0.0.1 that gives prepared answers and remembers what it was
// asked.
//
//   ScriptedServer server;
//   server.answer("GET /api/v1/health", {200, R"({"status":"ok"})"});   // several: one after the other
//   ... run the client against server.url() ...
//   EXPECT_EQ(server.requests().at(0).target, "/api/v1/health");
//
// The last answer to a request is repeated. go_down() closes the port and every connection, come_back() opens
// the same port again. All methods are safe to call while clients talk to it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::client::testing {

struct ScriptedAnswer {
  int status = 200;
  std::string body;
  std::vector<std::string> header_lines;  // "Location: http://elsewhere"
  bool hang_up = false;                   // close the connection instead of answering
};

struct SeenRequest {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // names in lower case
  int connection = 0;                          // counts connections from 1
};

class ScriptedServer {
 public:
  ScriptedServer();
  ~ScriptedServer();

  std::string url() const;
  std::uint16_t port() const { return port_; }

  // `request` is method and target: "GET /api/v1/operations/op_1". A target without query matches any query.
  void answer(const std::string& request, ScriptedAnswer answer);

  std::vector<SeenRequest> requests();
  // Those whose method and target start with `start`.
  std::vector<SeenRequest> requests(const std::string& start);

  void go_down();
  void come_back();

 private:
  struct Script {
    std::map<std::string, std::deque<ScriptedAnswer>> answers;
    std::vector<SeenRequest> seen;
  };

  void listen_again();
  void accept_connections();
  void talk(int connection_fd, int number);
  ScriptedAnswer next_answer(const SeenRequest& request);

  std::uint16_t port_ = 0;
  FileDescriptor listener_;
  FileDescriptor wake_reader_, wake_writer_;
  Synchronized<Script> script_;
  Synchronized<std::vector<int>> open_connections_;
  std::vector<std::jthread> talkers_;
  int connections_ = 0;
  std::jthread acceptor_;
};

}  // namespace ktrdr::client::testing
