// Which BLAS libtorch calls in this process. It is chosen by the system's alternatives when the process
// starts, so the same program may multiply with other kernels tomorrow.
#pragma once

#include <string>

namespace ktrdr::engine_torch {

struct Blas {
  std::string library;  // OpenBLAS' own description, or the file for another library
  std::string core;     // the kernels it picked: "Haswell"; "generic" where there is no choice
  bool optimized = false;
};

Blas loaded_blas();

}  // namespace ktrdr::engine_torch
