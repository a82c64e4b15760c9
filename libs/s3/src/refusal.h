// What S3 means by an answer that is not good.
#pragma once

#include <string>

#include "exchange.h"

namespace ktrdr::s3 {

// The error code in the body, "NoSuchKey"; empty when there is none (as after HEAD) or when it is no word.
std::string refusal_code(const Answer& answer);

// Of an answer that is not good: nothing was wrong with the request, the same one may be good a moment later.
bool is_transient(const Answer& answer);

// For a person, with the variable to check. Of what the server said only the code is repeated: its messages
// quote what was signed.
Error error_of(const Answer& answer, const Exchange& exchange, const S3Settings& settings);

}  // namespace ktrdr::s3
