#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

bool may_be_answered_later(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
    case ErrorCode::kUnauthorized:  // a new token is found by the next look-up
    case ErrorCode::kForbidden:     // and a host name may be allowed again
      return true;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kCheckpointNotFound:
    case ErrorCode::kCheckpointCorrupted:
    case ErrorCode::kConflict:
    case ErrorCode::kStale:
    case ErrorCode::kPreconditionFailed:
    case ErrorCode::kTooLarge: return false;
  }
  return false;
}

}  // namespace ktrdr::worker
