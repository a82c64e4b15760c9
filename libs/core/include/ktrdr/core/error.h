// What can go wrong in a correct program, as a value. A bug is not an Error: see check.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace ktrdr {

// The code decides the HTTP status (libs/http) and the exit code (libs/cli), each in one switch without
// default.
enum class ErrorCode {
  kInvalidArgument,      // the caller's input is wrong; nothing was changed
  kUnsupported,          // valid, but this version can't do it yet
  kUnauthorized,         // no token, or a wrong one
  kForbidden,            // a Host or an address that is not allowed
  kNotFound,             // no such operation, worker, route, file
  kCheckpointNotFound,   // the operation exists but has nothing to resume from
  kCheckpointCorrupted,  // a checkpoint failed its verification
  kConflict,             // the current state does not allow it
  kStale,                // a superseded attempt or owner: whoever gets this must stop
  kPreconditionFailed,   // If-Match named another version
  kTooLarge,             // over a limit on size
  kUnavailable,          // a peer can't be reached or is busy; trying again later may help
  kIo,                   // the disk or the database failed
  kInternal,             // our own fault
};

std::string_view to_string(ErrorCode code);  // "CHECKPOINT_NOT_FOUND"; also the wire's error.code

// `message` is one sentence for a person that says what to do; `context` is what was being attempted.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string context;

  Error(ErrorCode error_code, std::string text) : code(error_code), message(std::move(text)) {}

  // The same error, seen from one step further out: "saving checkpoint 3-17: writing model.safetensors".
  Error while_doing(std::string_view attempted) &&;

  // "message (while context)".
  std::string describe() const;
};

}  // namespace ktrdr
