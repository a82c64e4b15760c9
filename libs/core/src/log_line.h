// One line of the log, but for what stands on every line (time, level, program).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ktrdr/core/log.h"

namespace ktrdr {

// The subject of a line that is written within `scope` and has these fields.
LogSubject subject_of(const LogSubject& scope, std::span<const LogField> fields);

// message operation=op_1 attempt=2 worker=- checkpoint=2-7
std::string text_of(std::string_view message, const LogSubject& subject, std::span<const LogField> fields);

// "message":"...","operation":"op_1","attempt":2,"worker":null,"checkpoint":"2-7"
std::string json_members_of(std::string_view message, const LogSubject& subject,
                            std::span<const LogField> fields);

}  // namespace ktrdr
