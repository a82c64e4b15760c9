// The parts of `./dev bench api`, each a figure or a few. docs/benchmarks.md says what they mean.
#pragma once

#include <filesystem>

#include "../figures.h"
#include "ktrdr/storage/testing/postgres_cluster.h"

namespace ktrdr::bench {

void resumes_on_sqlite(Figures& figures);
void resumes_on_postgres(Figures& figures, storage::testing::PostgresCluster& cluster);
void compare_with_peer(Figures& figures, storage::testing::PostgresCluster& cluster);
void durable_transitions(Figures& figures);

// The data folder of a server that lists a million operations.
void fill_with_a_million(const std::filesystem::path& data_folder);
void list_pages(Figures& figures, const std::filesystem::path& data_folder);

}  // namespace ktrdr::bench
