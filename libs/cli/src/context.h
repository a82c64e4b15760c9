// What a command works with: the global options, the way to the server, and where words and data go.
#pragma once

#include <memory>
#include <string>

#include "ktrdr/cli/exit_code.h"
#include "ktrdr/client/api_client.h"
#include "surroundings.h"

namespace ktrdr::cli {

struct GlobalOptions {
  client::AddressOptions address;
  bool json = false;
  bool verbose = false;
};

class Context {
 public:
  Context(const Surroundings& surroundings, const GlobalOptions& options)
      : surroundings_(surroundings), options_(options) {}

  bool json() const { return options_.json; }
  bool verbose() const { return options_.verbose; }
  const Surroundings& surroundings() const { return surroundings_; }
  std::int64_t now() const { return surroundings_.clock.wall_ms(); }

  // Connects with the first request, not here.
  Result<std::unique_ptr<client::ApiClient>> api(Duration timeout = Duration(30'000)) const;

  void note(const std::string& words) const;  // a line for the person, on stderr
  void print(const std::string& data) const;  // data on stdout: whole lines, or with --json the one document

 private:
  const Surroundings& surroundings_;
  const GlobalOptions& options_;
};

}  // namespace ktrdr::cli
