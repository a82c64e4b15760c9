// Reads the event stream of one operation as a browser does: over a socket of its own, byte by byte as they
// come. Used by one thread.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::client::testing {

class StreamReader {
 public:
  // `query` ("?after=3") and `headers` ("Last-Event-ID: 3\r\n") say after which event it begins; else with
  // the first. Waits for the head of the answer.
  StreamReader(const std::string& url, const OperationId& id, const std::string& query = "",
               const std::string& headers = "");

  const std::string& received() const { return received_; }

  // "claimed 2", in the order they came, once there are `count`, or the stream has ended, or nothing came for
  // ten seconds.
  std::vector<std::string> events(std::size_t count);
  std::vector<std::string> all() { return events(SIZE_MAX); }
  bool has_ended_well() const { return received_.ends_with("\r\n0\r\n\r\n"); }

 private:
  std::vector<std::string> lines() const;
  bool receive();

  FileDescriptor socket_;
  std::string received_;
};

}  // namespace ktrdr::client::testing
