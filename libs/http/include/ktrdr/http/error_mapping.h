// From an Error to what goes over the wire: the only place that knows which code is which HTTP status.
#pragma once

#include <string_view>

#include "ktrdr/core/error.h"
#include "ktrdr/http/message.h"

namespace ktrdr::http {

int status_of(ErrorCode code);

// {"success": false, "detail": "<sentence>", "error": {"code": "...", "message": "<sentence>", "details":
// {}}}. The context of the error stays in our own log. `details_json` is a JSON object that is put in as it
// is.
Response error_response(const Error& error, std::string_view details_json = "{}");

// The same body where no ErrorCode fits (405, 415, ...).
Response error_response(int status, std::string_view code, std::string_view sentence,
                        std::string_view details_json = "{}");

}  // namespace ktrdr::http
