#include "ktrdr/engine_torch/torch_environment.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "ktrdr/training/pinned_environment.h"

namespace ktrdr::engine_torch {
namespace {

// Holds the id of the process that executed itself again. execv keeps the id, so it tells "I did that
// already" from "the process that started me did".
constexpr const char* kReexecutedVariable = "KTRDR_REEXECUTED_PROCESS";

bool is_set(const char* name, std::string_view value) {
  const char* current = std::getenv(name);
  return current != nullptr && value == current;
}

}  // namespace

bool environment_is_pinned() {
  return std::ranges::all_of(training::kPinnedEnvironment, [](const training::EnvironmentVariable& variable) {
    return is_set(std::string(variable.name).c_str(), variable.value);
  });
}

Result<void> reexecute_with_pinned_environment(char** argv) {
  if (environment_is_pinned()) return {};
  const std::string process = std::to_string(getpid());
  if (is_set(kReexecutedVariable, process)) {
    return Error(
        ErrorCode::kInternal,
        "The environment variables of a training process do not stay set; start it without a wrapper.");
  }
  for (const auto& [name, value] : training::pinned_environment()) setenv(name.c_str(), value.c_str(), 1);
  setenv(kReexecutedVariable, process.c_str(), 1);
  execv("/proc/self/exe", argv);
  return Error(ErrorCode::kInternal,
               std::string("A training process cannot execute itself again: ") + std::strerror(errno) + ".");
}

}  // namespace ktrdr::engine_torch
