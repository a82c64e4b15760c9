// How a worker process gets the environment that libtorch and OpenBLAS must find when they are loaded; the
// variables are in ktrdr/training/pinned_environment.h. Whoever starts a worker passes them along, and a
// worker that was started without them executes itself again.
#pragma once

#include "ktrdr/core/result.h"

namespace ktrdr::engine_torch {

bool environment_is_pinned();

// Call it first in main(), before there is a second thread. Returns ok when the environment is as it should
// be; otherwise replaces this process by itself with the variables set, and then it does not return.
// kInternal when that fails or did not help (it is tried once in a process).
Result<void> reexecute_with_pinned_environment(char** argv);

}  // namespace ktrdr::engine_torch
