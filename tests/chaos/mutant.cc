#include "mutant.h"

namespace ktrdr::chaos {
namespace {

constexpr Mutant kMutants[] = {
    {"what has trained for a while is not found", Count::kOperationsLost,
     "WHERE o.operation_id = $1\tWHERE o.operation_id = $1 AND o.heartbeat_sequence < 3\n"},
    {"a restart forgets the checkpoint", Count::kCheckpointsLost,
     "restarts = restarts + $4,\trestarts = restarts + $4, checkpoint_attempt = NULL, checkpoint_sequence = "
     "NULL,\n"},
    {"a training gets another seed", Count::kModelsDiffer,
     "(operation_id, request) VALUES ($1, $2)\t"
     "(operation_id, request) VALUES ($1, regexp_replace($2, '\"seed\":([0-9]+)', '\"seed\":\\1\\1'))\n"},
    {"the fence lets superseded attempts pass", Count::kStaleWritesAccepted,
     "AND attempt = $2 AND owner = $3 AND\tAND attempt >= $2 AND $3 <> '' AND\n"},
    {"a lapsed lease ends nothing", Count::kOperationsStuck,
     "AND heartbeat_sequence = $4 RETURNING\tAND heartbeat_sequence = $4 + 1 RETURNING\n"
     "COALESCE($10, heartbeat_sequence)\tCOALESCE($10 + 1, heartbeat_sequence)\n"},
    {"an epoch is not written down", Count::kHistoriesWrong,
     "(operation_id, epoch, metrics) VALUES ($1, $2, $3)\t"
     "(operation_id, epoch, metrics) SELECT $1, $2::bigint, $3 WHERE $2::bigint <> 3\n"},
};

}  // namespace

std::span<const Mutant> mutants() { return kMutants; }

}  // namespace ktrdr::chaos
