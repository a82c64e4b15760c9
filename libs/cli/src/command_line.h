// Reads the command line: which command, with which options, or what is wrong with it and what was probably
// meant.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "command.h"

namespace ktrdr::cli {

class CommandLine {
 public:
  explicit CommandLine(const std::vector<ExtraCommand>& extra_commands);

  struct Help {
    std::string text;  // for stdout: it was asked for
  };
  struct Chosen {
    Command* command = nullptr;           // one of ours, or ...
    const ExtraCommand* extra = nullptr;  // ... one of the application's
  };
  // kInvalidArgument: unknown words or options, missing or unreadable values.
  Result<std::variant<Help, Chosen>> parse(int argc, const char* const* argv);

  const GlobalOptions& options() const { return options_; }

 private:
  struct Entry {
    CLI::App* app;
    std::unique_ptr<Command> command;
    const ExtraCommand* extra;
  };

  void add_global_options();
  void hand_down_global_options(CLI::App& extra);
  Result<void> refuse_leftovers() const;
  Error unknown_word(const CLI::App& at, const std::string& word) const;

  CLI::App app_;
  GlobalOptions options_;
  std::vector<Entry> entries_;
};

}  // namespace ktrdr::cli
