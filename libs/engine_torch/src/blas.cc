#include "blas.h"

#include <dlfcn.h>

#include <filesystem>

namespace ktrdr::engine_torch {
namespace {

std::string call_text_function(void* library, const char* name) {
  using TextFunction = const char* (*)();
  const auto function = reinterpret_cast<TextFunction>(dlsym(library, name));
  return function != nullptr ? function() : "";
}

std::string file_of(const char* library_path) {
  std::error_code ignored;
  return std::filesystem::canonical(library_path, ignored).filename().string();
}

}  // namespace

Blas loaded_blas() {
  Dl_info sgemm{};
  void* address = dlsym(RTLD_DEFAULT, "sgemm_");  // the function that libtorch calls
  if (address == nullptr || dladdr(address, &sgemm) == 0) return {.library = "unknown", .core = "generic"};

  // Only the library with this sgemm and what it depends on is asked: an OpenBLAS that something else loaded
  // does not count.
  void* library = dlopen(sgemm.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return {.library = file_of(sgemm.dli_fname), .core = "generic"};
  const std::string config = call_text_function(library, "openblas_get_config");
  const std::string core = call_text_function(library, "openblas_get_corename");
  dlclose(library);
  if (config.empty()) return {.library = file_of(sgemm.dli_fname), .core = "generic"};
  return {.library = config, .core = core, .optimized = true};
}

}  // namespace ktrdr::engine_torch
