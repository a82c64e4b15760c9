#include "commands.h"

#include "command.h"

namespace ktrdr::cli {

const std::vector<CommandRow>& command_table() {
  static const std::vector<CommandRow> table = {
      train_command(),  status_command(),  ops_command(),     follow_command(),
      cancel_command(), resume_command(),  retry_command(),   checkpoints_command(),
      model_command(),  workers_command(), version_command(),
  };
  return table;
}

}  // namespace ktrdr::cli
