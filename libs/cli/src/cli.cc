#include "ktrdr/cli/cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <string_view>

#include "command_line.h"
#include "json_document.h"
#include "ktrdr/core/log.h"
#include "signal_pause.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

// Also where the command line could not be read.
bool wants_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

ExitCode report(const Error& error, bool as_json, const Streams& streams) {
  const ExitCode exit_code = exit_code_of(error.code);
  if (as_json) {
    streams.out << JsonObject()
                       .add("status", "error")
                       .add("code", to_string(error.code))
                       .add("message", error.message)
                       .add("exit_code", static_cast<std::int64_t>(exit_code))
                       .text()
                << '\n'
                << std::flush;
    return exit_code;
  }
  streams.err << "Error: " << printable(error.describe()) << '\n';
  if (error.code == ErrorCode::kUnauthorized)
    streams.err << "The token is read from KTRDR_API_TOKEN or from the file 'token' in --data-dir.\n";
  streams.err << std::flush;
  return exit_code;
}

Result<ExitCode> run_chosen(const Surroundings& surroundings, const CommandLine& line,
                            const CommandLine::Chosen& chosen) {
  if (chosen.extra != nullptr) {
    Streams streams = surroundings.streams;
    return static_cast<ExitCode>(chosen.extra->run(streams));
  }
  start_logging("ktrdr", line.options().verbose ? LogLevel::kDebug : LogLevel::kWarning);
  const Context context(surroundings, line.options());
  return chosen.command->run(context);
}

Result<ExitCode> parse_and_run(const Surroundings& surroundings, int argc, const char* const* argv,
                               const std::vector<ExtraCommand>& extra_commands) {
  CommandLine line(extra_commands);
  TRY_ASSIGN(const auto parsed, line.parse(argc, argv));
  if (const auto* help = std::get_if<CommandLine::Help>(&parsed)) {
    surroundings.streams.out << help->text << std::flush;
    return ExitCode::kOk;
  }
  return run_chosen(surroundings, line, std::get<CommandLine::Chosen>(parsed));
}

std::size_t width_of_terminal() {
  winsize size{};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return is_known ? size.ws_col : 80;
}

}  // namespace

int run_in(const Surroundings& surroundings, int argc, const char* const* argv,
           const std::vector<ExtraCommand>& extra_commands) {
  const Result<ExitCode> result = parse_and_run(surroundings, argc, argv, extra_commands);
  const ExitCode exit_code =
      result.ok() ? *result : report(result.error(), wants_json(argc, argv), surroundings.streams);
  return static_cast<int>(exit_code);
}

int run(int argc, const char* const* argv, Streams streams, std::vector<ExtraCommand> extra_commands) {
  const SystemClock clock;
  const Surroundings surroundings{streams, client::process_environment(), clock,
                                  [] { return std::make_unique<SignalPause>(); }, width_of_terminal()};
  return run_in(surroundings, argc, argv, extra_commands);
}

}  // namespace ktrdr::cli
