// An operation as a person sees it, in `status` and at the end of `follow`.
#pragma once

#include <string>

#include "ktrdr/api/operation.h"

namespace ktrdr::cli {

std::string operation_text(const api::Operation& operation, std::int64_t now_wall_ms);

// "resume with: ktrdr resume op_1", or what to do instead; empty where there is nothing to say.
std::string resume_hint(const api::Operation& operation);

}  // namespace ktrdr::cli
