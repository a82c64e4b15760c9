// The operations table in an SQLite file on a local disk: the embedded store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage {

// Opens or creates `file` (readable by its owner only; the folder must exist) and brings an older schema to
// the newest. Everything that was acknowledged survives a crash of the program and a power cut. Several
// processes may open one file; each sees the others' changes. `clock` must outlive the repository; it makes
// the timestamps in the rows. Destroy the repository only when no thread is calling it any more: it finishes
// what it accepted.
// kIo: the folder can't be written, the disk is full, the file is damaged or no database at all.
// kInvalidArgument: another program's database. kUnsupported: written by a newer ktrdr. kUnavailable: locked.
//
// `reserve_bytes` of space are held in `<file>-reserve` and given up when the disk is full, so that what was
// decided then (cancelled, completed) can still be written.
Result<std::unique_ptr<OperationsRepository>> open_sqlite_repository(const std::filesystem::path& file,
                                                                     Clock& clock,
                                                                     std::uint64_t reserve_bytes = 0);

}  // namespace ktrdr::storage
