// What the fault tests kill, starve and record:
//
//   station_program FOLDER VERB...
//
// The verbs are the methods of Station, in order; `open` is none of them: it only marks the opening itself.
// Each promise is a line on stdout, written after the step is done: "created", "saved 1-3", "removed",
// "finished". With STOP_BEFORE in the environment it stops itself (SIGSTOP) where the verbs begin, so that a
// tracer can take hold of it: what is before belongs to the start of the program. Exit status: 0 done, 4 an
// error was reported (on stderr), 2 a word that is no verb.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "station.h"

namespace ktrdr::worker::testing {
namespace {

// Durable or not: whoever reads it was told.
Result<std::string> promise(Result<void> done, std::string line) {
  if (!done.ok()) return std::move(done).error();
  return line;
}

Result<std::string> perform(Station& station, std::string_view verb) {
  if (verb == "begin") return promise(station.begin(), "created");
  if (verb == "finish") return promise(station.finish(), "finished");
  if (verb == "remove") return promise(station.remove(), "removed");
  if (verb == "sweep") return promise(station.sweep(), "swept");
  if (verb == "stop") return promise(station.stop(), "stopped");
  if (verb == "hand_over") return promise(station.hand_over(), "handed over");
  if (verb == "open") return std::string("opened");
  if (verb != "save" && verb != "restore")
    return Error(ErrorCode::kInvalidArgument, "There is no such verb.");
  TRY_ASSIGN(const CheckpointRef ref, verb == "save" ? station.save() : station.restore());
  return (verb == "save" ? "saved " : "restored ") + ref.to_string();
}

void say(std::string text) {
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) return;  // then nobody was told
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

int report(const Error& error) {
  std::fprintf(stderr, "%s\n", error.describe().c_str());
  return error.code == ErrorCode::kInvalidArgument ? 2 : 4;
}

int run(int argc, char** argv) {
  const auto mark = [] {
    if (std::getenv("STOP_BEFORE") != nullptr) std::raise(SIGSTOP);
  };
  const bool opening_counts = std::string_view(argv[2]) == "open";
  if (opening_counts) mark();
  const auto station = Station::open(argv[1]);
  if (!station.ok()) return report(station.error());
  if (!opening_counts) mark();
  for (int i = 2; i < argc; ++i) {
    auto line = perform(**station, argv[i]);
    if (!line.ok()) return report(line.error());
    say(*std::move(line));
  }
  return 0;
}

}  // namespace
}  // namespace ktrdr::worker::testing

int main(int argc, char** argv) { return argc < 3 ? 2 : ktrdr::worker::testing::run(argc, argv); }
