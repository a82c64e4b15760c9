#include "ktrdr/core/error.h"

namespace ktrdr {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "INVALID_ARGUMENT";
    case ErrorCode::kUnsupported: return "UNSUPPORTED";
    case ErrorCode::kUnauthorized: return "UNAUTHORIZED";
    case ErrorCode::kForbidden: return "FORBIDDEN";
    case ErrorCode::kNotFound: return "NOT_FOUND";
    case ErrorCode::kCheckpointNotFound: return "CHECKPOINT_NOT_FOUND";
    case ErrorCode::kCheckpointCorrupted: return "CHECKPOINT_CORRUPTED";
    case ErrorCode::kConflict: return "CONFLICT";
    case ErrorCode::kStale: return "STALE";
    case ErrorCode::kPreconditionFailed: return "PRECONDITION_FAILED";
    case ErrorCode::kTooLarge: return "TOO_LARGE";
    case ErrorCode::kUnavailable: return "UNAVAILABLE";
    case ErrorCode::kIo: return "IO_ERROR";
    case ErrorCode::kInternal: return "INTERNAL_ERROR";
  }
  return "INTERNAL_ERROR";
}

Error Error::while_doing(std::string_view attempted) && {
  context = context.empty() ? std::string(attempted) : std::string(attempted) + ": " + context;
  return std::move(*this);
}

std::string Error::describe() const {
  return context.empty() ? message : message + " (while " + context + ")";
}

}  // namespace ktrdr
