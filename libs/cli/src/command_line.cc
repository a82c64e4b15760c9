#include "command_line.h"

#include <algorithm>

#include "suggestion.h"

namespace ktrdr::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  ktrdr serve\n"
    "  ktrdr train strategies/momentum.yaml --follow\n"
    "  ktrdr ops --resumable\n"
    "  ktrdr resume op_training_20261123_140833_1a2b3c4d\n\n"
    "Global options may stand before or after the command.\n";

// The command that the words led to: "checkpoints", or "checkpoints show".
const CLI::App& innermost(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : innermost(*parsed.back());
}

std::vector<std::string> names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// Those of the command and of all commands that it belongs to.
std::vector<std::string> names_of_options(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : full_name(*app.get_parent()) + " " + app.get_name();
}

Error usage_error(const CLI::App& at, const std::string& what) {
  return {ErrorCode::kInvalidArgument, what + " See: " + full_name(at) + " --help"};
}

std::string meant(const std::optional<std::string>& suggestion) {
  return suggestion ? "; did you mean '" + *suggestion + "'?" : ".";
}

}  // namespace

CommandLine::CommandLine(const std::vector<ExtraCommand>& extra_commands)
    : app_(
          "ktrdr trains neuro-fuzzy trading models as durable operations: killed, cancelled or cut off,\n"
          "a training can be resumed and ends in the same bytes.",
          "ktrdr") {
  app_.require_subcommand(0, 1);
  app_.allow_extras();  // we say ourselves what is unknown, and what was probably meant
  app_.footer(std::string(kExamples) + "\n" + kExitCodeHelp);
  add_global_options();
  for (const CommandRow& row : command_table()) {
    CLI::App* app = app_.add_subcommand(row.name, row.description);
    app->fallthrough()->footer(row.example);
    entries_.push_back({app, row.make(), nullptr});
    entries_.back().command->configure(*app);
  }
  for (const ExtraCommand& extra : extra_commands) {
    CLI::App* app = app_.add_subcommand(extra.name, extra.description);
    app->fallthrough();
    entries_.push_back({app, nullptr, &extra});
    extra.configure(*app);
  }
}

void CommandLine::add_global_options() {
  app_.add_option("-u,--url", options_.address.url, "The server's URL (KTRDR_API_URL)");
  app_.add_option("-p,--port", options_.address.port, "The server's port on this machine");
  app_.add_option("--data-dir", options_.address.data_dir,
                  "Folder with the server's address and token (KTRDR_DATA_DIR, ~/.ktrdr)");
  app_.add_flag("--json", options_.json, "Print exactly one JSON document");
  app_.add_flag("-v,--verbose", options_.verbose, "Say more, also every request");
  app_.set_version_flag("--version", "ktrdr " KTRDR_VERSION);
}

Result<std::variant<CommandLine::Help, CommandLine::Chosen>> CommandLine::parse(int argc,
                                                                                const char* const* argv) {
  using Parsed = std::variant<Help, Chosen>;
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Parsed(Help{app_.help()});
  } catch (const CLI::CallForVersion& version) {
    return Parsed(Help{std::string(version.what()) + "\n"});
  } catch (const CLI::ParseError& error) {
    TRY(refuse_leftovers());  // "--sed 7" explains a missing --seed better than the parser does
    return usage_error(innermost(app_), std::string(error.what()) + ".");
  }
  TRY(refuse_leftovers());
  for (const Entry& entry : entries_) {
    if (!entry.app->parsed()) continue;
    if (entry.extra != nullptr) hand_down_global_options(*entry.app);
    return Parsed(Chosen{entry.command.get(), entry.extra});
  }
  return usage_error(app_, "A command is missing.");
}

// `ktrdr --port 9000 serve` means serve's own --port.
void CommandLine::hand_down_global_options(CLI::App& extra) {
  for (const CLI::Option* global : app_.get_options()) {
    if (global->count() == 0) continue;
    CLI::Option* own = extra.get_option_no_throw("--" + global->get_lnames().front());
    if (own == nullptr || own->count() > 0) continue;
    own->add_result(global->results());
    own->run_callback();
  }
}

Result<void> CommandLine::refuse_leftovers() const {
  for (const std::string& word : app_.remaining(true)) {
    if (word != "--") return unknown_word(innermost(app_), word);
  }
  return {};
}

Error CommandLine::unknown_word(const CLI::App& at, const std::string& word) const {
  if (word.starts_with('-')) {
    const std::string name = word.substr(0, word.find('='));
    return usage_error(at, "Unknown option '" + name + "'" + meant(nearest(name, names_of_options(&at))));
  }
  const std::vector<std::string> commands = names_of_commands(at);
  if (commands.empty()) return usage_error(at, "'" + word + "' is one word too many.");
  return usage_error(at, "Unknown command '" + word + "'" + meant(nearest(word, commands)));
}

}  // namespace ktrdr::cli
