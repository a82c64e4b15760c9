// Mistakes of the product, made on purpose: a suite that can't find them proves nothing. Each is an edit of
// the SQL that the servers speak, made on its way (mutants/sql_edits.cc), so the product knows nothing of it.
#pragma once

#include <span>
#include <string>

#include "score.h"

namespace ktrdr::chaos {

struct Mutant {
  const char* name;
  Count goes_wrong;   // what must find it
  const char* edits;  // as in KTRDR_SQL_EDITS
};

// One at least for each of the six things that are promised.
std::span<const Mutant> mutants();

}  // namespace ktrdr::chaos
