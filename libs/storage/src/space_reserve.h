// A file that holds space on the database's disk, to be given up when that is full: what must still be
// written then (that an operation was cancelled or completed) finds room. Used by one thread.
#pragma once

#include <cstdint>
#include <filesystem>

namespace ktrdr::storage {

class SpaceReserve {
 public:
  // `bytes` 0: no reserve. Takes the space at once, unless the disk would be nearly full then; that is
  // logged.
  SpaceReserve(std::filesystem::path file, std::uint64_t bytes);

  // The disk is full: frees the space. False: there was none left to give.
  bool give_up();

  // After it was given up: takes the space again as soon as there is twice as much.
  void take_again();

 private:
  bool take();

  const std::filesystem::path file_;
  const std::uint64_t bytes_;
  bool given_up_ = false;
};

}  // namespace ktrdr::storage
