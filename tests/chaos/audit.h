// Triggers in the database that watch every change of a row, so that not only what clients happen to see is
// checked.
#pragma once

#include "ktrdr/storage/testing/postgres_cluster.h"
#include "score.h"

namespace ktrdr::chaos {

// Needs the schema: once a server has been ready.
void install_audit(const storage::testing::PostgresCluster& cluster, const std::string& database);

// Adds what the triggers found since the last call.
void count_audit(const storage::testing::PostgresCluster& cluster, const std::string& database, Score& score);

}  // namespace ktrdr::chaos
