// `ktrdr serve`: the control plane in the foreground, until SIGTERM or Ctrl+C.
#pragma once

#include "ktrdr/cli/cli.h"

namespace ktrdr {

cli::ExtraCommand serve_command();

}  // namespace ktrdr
