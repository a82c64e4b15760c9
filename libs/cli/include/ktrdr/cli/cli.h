// The command line: parses, asks the server, prints. Words go to `err`, data to `out`; with --json `out` gets
// exactly one JSON document, also for errors. The value of run() is the exit code (docs/cli.md).
//
// Call run() from main's thread. While a training is followed it owns SIGINT, and gives it back afterwards.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ktrdr::cli {

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;  // err is one: progress is drawn in place
};

// A command that the application brings along, such as `serve`. An option that is also a global one (--port,
// --data-dir) may stand before the command as well.
struct ExtraCommand {
  std::string name, description;
  std::function<void(CLI::App&)> configure;
  std::function<int(Streams&)> run;
};

int run(int argc, const char* const* argv, Streams streams, std::vector<ExtraCommand> extra_commands);

}  // namespace ktrdr::cli
