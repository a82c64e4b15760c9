// The suites commit thousands of times; on a folder in memory that takes seconds also on a busy disk. No test
// here depends on the device: what SIGKILL and failing writes do is the same on every file system.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace ktrdr::storage::testing {

class FoldersInMemory final : public ::testing::Environment {
  void SetUp() override {
    constexpr int kKeepWhatIsSet = 0;
    constexpr std::uintmax_t kEnoughBytes = 1'000'000'000;  // a container may have 64 MB there
    std::error_code is_missing;
    const auto memory = std::filesystem::space("/dev/shm", is_missing);
    if (!is_missing && memory.available > kEnoughBytes) setenv("TMPDIR", "/dev/shm", kKeepWhatIsSet);
  }
};
inline const auto* const kFoldersInMemory = ::testing::AddGlobalTestEnvironment(new FoldersInMemory);

}  // namespace ktrdr::storage::testing
