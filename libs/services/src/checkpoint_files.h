// The files of dropped rows: they go after the rows.
#pragma once

#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"

namespace ktrdr::services {

// A file that stays costs disk only: the sweep of unreferenced objects takes it later.
void remove_files(checkpoints::CheckpointStore& objects, const OperationId& id,
                  const std::vector<CheckpointRef>& refs);

}  // namespace ktrdr::services
