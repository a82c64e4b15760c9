// The one folder that holds everything of a server: what lies where in it.
#pragma once

#include <filesystem>
#include <string>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/result.h"

namespace ktrdr::server {

struct DataFolder {
  std::filesystem::path root;

  std::filesystem::path database() const { return root / "ktrdr.db"; }
  std::filesystem::path token() const { return root / "token"; }
  std::filesystem::path server_url() const { return root / "server.url"; }
  std::filesystem::path lock() const { return root / "lock"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path models() const { return root / "models"; }
  std::filesystem::path market() const { return root / "market"; }
  std::filesystem::path strategies() const { return root / "strategies"; }
  std::filesystem::path logs() const { return root / "logs"; }
  std::filesystem::path worker_slot(int slot) const {
    return root / "workers" / ("slot-" + std::to_string(slot) + ".lock");
  }

  // Makes the folder and its parts, durably. kIo says which one could not be made.
  Result<void> create() const;

  // The token of this folder, made at the first call: 256 random bits in hex, in a file only the owner can
  // read.
  Result<std::string> token_text() const;
};

}  // namespace ktrdr::server
