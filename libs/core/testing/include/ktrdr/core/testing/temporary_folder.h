// A folder that is removed, with all in it, at the end of a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "ktrdr/core/check.h"

namespace ktrdr::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ktrdr-test-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "tests can write to the temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace ktrdr::testing
