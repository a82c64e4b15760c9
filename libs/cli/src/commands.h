// The commands, each from the file of its name.
#pragma once

#include "command.h"

namespace ktrdr::cli {

CommandRow train_command();
CommandRow status_command();
CommandRow ops_command();
CommandRow follow_command();
CommandRow cancel_command();
CommandRow resume_command();
CommandRow retry_command();
CommandRow checkpoints_command();
CommandRow model_command();
CommandRow workers_command();
CommandRow version_command();

}  // namespace ktrdr::cli
