// What a program did to a folder, one file operation after the other, and what a power cut may leave of it.
//
// The model is weaker than any file system we know, so what survives here survives there: what was written to
// a file is durable after the file's fsync, what was named in a folder after the folder's; until then each
// operation on its own may be there or not, in any order, and of a write the new length alone, or the first
// half. A rename is one operation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace ktrdr::worker::testing {

struct DiskOperation {
  enum class Kind { kWrite, kTruncate, kName, kUnname, kRename, kSync, kSaid };
  Kind kind = Kind::kSaid;
  int node = 0;       // the file, or for kSync a file or folder
  int folder = 0;     // of the name
  std::string name;   // kName, kUnname: in `folder`; kRename: the old one
  int folder_to = 0;  // kRename
  std::string name_to;
  std::uint64_t offset = 0;  // kTruncate: the size
  std::string bytes;         // kWrite, kSaid
  std::string path;          // when it happened, for people and for mutants
  bool on_folder = false;    // kSync
};

// How a crash treats one operation that was not durable yet.
enum class Fate { kKept, kLost, kLengthOnly, kTorn };

// The folder after a crash. Files by path, and the folders.
struct CrashState {
  std::map<std::string, std::string> files;
  std::vector<std::string> folders;
  std::string said;  // all that was promised before
  std::string story;

  void write_to(const std::filesystem::path& folder) const;
  std::string digest() const;
};

class DiskHistory {
 public:
  // From the log of strace -f -y -xx, for what happened below `root`. CHECKs that it understands each line.
  static DiskHistory parse(const std::string& log, const std::string& root);

  const std::vector<DiskOperation>& operations() const { return operations_; }

  // The same history without the operations that `leave_out` names: what a program would do that had
  // forgotten them.
  template <class LeaveOut>
  DiskHistory without(LeaveOut leave_out) const {
    DiskHistory mutant = *this;
    std::erase_if(mutant.operations_, leave_out);
    return mutant;
  }

  // At most `most` different states: of each moment those in which all pending operations share a fate and
  // those in which one differs, and random mixtures; a seeded choice when they are more.
  std::vector<CrashState> crash_states(std::size_t most, std::uint32_t seed) const;

 private:
  friend class HistoryReader;
  std::vector<std::size_t> pending_before(std::size_t moment) const;
  CrashState state(std::size_t moment, const std::map<std::size_t, Fate>& fates) const;

  std::vector<DiskOperation> operations_;
};

}  // namespace ktrdr::worker::testing
