#include "ktrdr/cli/exit_code.h"

namespace ktrdr::cli {

ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kTooLarge: return ExitCode::kBadInput;
    case ErrorCode::kNotFound:
    case ErrorCode::kCheckpointNotFound: return ExitCode::kNotFound;
    case ErrorCode::kConflict:
    case ErrorCode::kStale:
    case ErrorCode::kPreconditionFailed: return ExitCode::kConflict;
    case ErrorCode::kUnavailable: return ExitCode::kUnreachable;
    case ErrorCode::kUnauthorized:
    case ErrorCode::kForbidden: return ExitCode::kUnauthorized;
    case ErrorCode::kCheckpointCorrupted:
    case ErrorCode::kIo:
    case ErrorCode::kInternal: return ExitCode::kFailed;
  }
  return ExitCode::kFailed;
}

const char* const kExitCodeHelp =
    R"(Exit codes:
  0    done
  1    the followed training did not complete, or a fault of the server or the disk
  2    bad input: options, ids, files, anything the server calls invalid
  3    no such operation, or it has no checkpoint
  4    the operation's state does not allow it (already running, completed, ...)
  5    the server can't be reached or is busy
  6    no token, a wrong one, or not allowed
  130  interrupted with Ctrl+C; the training was cancelled)";

}  // namespace ktrdr::cli
