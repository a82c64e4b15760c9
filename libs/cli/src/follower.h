// Follows an operation to its end: polls, draws progress, survives a restart of the server, handles Ctrl+C.
#pragma once

#include "context.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::cli {

enum class OnInterrupt {
  kDetach,  // `follow`: stop watching, exit 0
  kCancel,  // `train --follow`: ask the server to cancel, wait until it is done, exit 130
};

struct FollowOptions {
  OnInterrupt on_interrupt = OnInterrupt::kDetach;
  // The server answered a moment ago: when it does not now, it is restarting and worth a wait.
  bool server_is_there = false;
};

// Prints the final state (or, with --json, the operation). kOk when it completed, kFailed when it failed or
// was cancelled by somebody else. kUnavailable: the server was away for a minute.
Result<ExitCode> follow(const Context& context, const OperationId& id, const FollowOptions& options);

}  // namespace ktrdr::cli
