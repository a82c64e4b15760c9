// What a script learns from a command. The numbers are a promise: docs/cli.md lists them.
#pragma once

#include "ktrdr/core/error.h"

namespace ktrdr::cli {

enum class ExitCode {
  kOk = 0,
  kFailed = 1,
  kBadInput = 2,
  kNotFound = 3,
  kConflict = 4,
  kUnreachable = 5,
  kUnauthorized = 6,
  kInterrupted = 130,
};

ExitCode exit_code_of(ErrorCode code);

// The table in `ktrdr --help`.
extern const char* const kExitCodeHelp;

}  // namespace ktrdr::cli
