// EXPECT_THAT(service.resume(id), FailsWith(ErrorCode::kConflict)); EXPECT_THAT(store.open(path), IsOk());
#pragma once

#include <gmock/gmock.h>

#include "ktrdr/core/result.h"

namespace ktrdr::testing {

MATCHER_P(FailsWith, code, "fails with " + std::string(to_string(code))) {
  if (arg.ok()) {
    *result_listener << "succeeded";
    return false;
  }
  *result_listener << to_string(arg.error().code) << ": " << arg.error().describe();
  return arg.error().code == code;
}

MATCHER(IsOk, "succeeds") {
  if (!arg.ok()) *result_listener << to_string(arg.error().code) << ": " << arg.error().describe();
  return arg.ok();
}

// The error's text holds `part`.
MATCHER_P(SaysError, part, "fails and says '" + std::string(part) + "'") {
  if (arg.ok()) return false;
  *result_listener << arg.error().describe();
  return arg.error().describe().find(part) != std::string::npos;
}

}  // namespace ktrdr::testing
