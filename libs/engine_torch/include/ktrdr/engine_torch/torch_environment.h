// The environment variables of a process that trains. libtorch and OpenBLAS read them while they are loaded,
// so they must stand before the process starts: whoever starts a worker passes kPinnedEnvironment along, and
// a worker that was started without it executes itself again.
//
// The table needs no library, so programs that never load libtorch may use it.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::engine_torch {

struct EnvironmentVariable {
  std::string_view name;
  std::string_view value;
};

// AVX2 and Haswell kernels exist on every x86-64-v3 machine, so a training can go on on another one and end
// in the same bits. One thread, because sums over several depend on how many there are.
inline constexpr std::array<EnvironmentVariable, 5> kPinnedEnvironment{{
    {"OPENBLAS_CORETYPE", "Haswell"},
    {"ATEN_CPU_CAPABILITY", "avx2"},
    {"OMP_NUM_THREADS", "1"},
    {"OPENBLAS_NUM_THREADS", "1"},
    {"MKL_NUM_THREADS", "1"},
}};

// The same as owned strings, for whoever builds the environment of a child process.
inline std::vector<std::pair<std::string, std::string>> pinned_environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (const EnvironmentVariable& variable : kPinnedEnvironment) {
    variables.emplace_back(variable.name, variable.value);
  }
  return variables;
}

bool environment_is_pinned();

// Call it first in main(), before there is a second thread. Returns ok when the environment is as it should
// be; otherwise replaces this process by itself with the variables set, and then it does not return.
// kInternal when that fails or did not help (it is tried once in a process).
Result<void> reexecute_with_pinned_environment(char** argv);

}  // namespace ktrdr::engine_torch
