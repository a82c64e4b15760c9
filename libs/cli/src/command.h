// One command of the command line. An object lives for one run: configure() binds the options to its members,
// then run() is called when the command was chosen.
#pragma once

#include <memory>
#include <vector>

#include "context.h"

namespace ktrdr::cli {

class Command {
 public:
  virtual ~Command() = default;
  virtual void configure(CLI::App& app) = 0;
  virtual Result<ExitCode> run(const Context& context) = 0;
};

struct CommandRow {
  const char* name;
  const char* description;
  const char* example;  // the end of its help text
  std::unique_ptr<Command> (*make)();
};

const std::vector<CommandRow>& command_table();

}  // namespace ktrdr::cli
