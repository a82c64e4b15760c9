// The history of an operation as a person reads it: one line an event.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/api/event.h"

namespace ktrdr::cli {

// A table with a heading: local time, what, the attempt, its worker, why. Empty for no events.
std::string events_text(const std::vector<api::OperationEvent>& events);

}  // namespace ktrdr::cli
