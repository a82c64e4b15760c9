// ktrdr: the command line, and with `ktrdr serve` the control plane. It never links a tensor library.
#include <unistd.h>

#include <iostream>

#include "ktrdr/cli/cli.h"
#include "serve_command.h"

int main(int argc, char** argv) {
  ktrdr::cli::Streams streams{std::cin, std::cout, std::cerr, isatty(STDERR_FILENO) == 1};
  return ktrdr::cli::run(argc, argv, streams, {ktrdr::serve_command()});
}
