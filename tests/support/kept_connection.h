// One HTTP/1.1 connection whose bytes the test decides, for requests that must be exactly those of another
// program. Head and body are sent apart, as clients do that write them with two calls. Answers are read by a
// JSON parser that knows nothing of our types, and each is held against the OpenAPI document (conformance.h).
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace ktrdr::system_test {

struct KeptAnswer {
  int status = 0;  // 0: the peer hung up or was silent for too long
  std::string head;
  nlohmann::json body;  // discarded: not JSON
};

class KeptConnection {
 public:
  explicit KeptConnection(int port);
  ~KeptConnection();
  KeptConnection(const KeptConnection&) = delete;
  KeptConnection& operator=(const KeptConnection&) = delete;

  // `head` up to and with its empty line.
  KeptAnswer exchange(const std::string& head, const std::string& body = "");

 private:
  bool send_all(const std::string& bytes);
  bool read_until(std::size_t size);
  bool read_more();

  const int port_;
  int socket_ = -1;
  std::string received_;
};

}  // namespace ktrdr::system_test
