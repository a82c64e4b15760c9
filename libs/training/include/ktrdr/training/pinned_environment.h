// The environment variables of a process that trains: they decide bits. Numeric libraries read them while
// they are loaded, so they must stand before the process starts. The table needs no library, so that the
// server, which never loads one, can pass it to the workers it starts.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktrdr::training {

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

}  // namespace ktrdr::training
