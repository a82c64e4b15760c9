// The memory repository with one guard missing (see Mutant). Without a mutant it changes nothing.
#pragma once

#include <memory>

#include "ktrdr/storage/operations_repository.h"
#include "mutant.h"

namespace ktrdr::simulator {

// `inner` outlives it.
std::unique_ptr<storage::OperationsRepository> break_repository(storage::OperationsRepository& inner,
                                                                Mutant mutant);

}  // namespace ktrdr::simulator
