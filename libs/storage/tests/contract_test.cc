#include "folders_in_memory.h"
#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_contract.h"
#include "ktrdr/storage/testing/several_servers_contract.h"

namespace ktrdr::storage::testing {
namespace {

const RepositoryFactory kMemory{"Memory",
                                [](const auto&, Clock& clock) { return make_memory_repository(clock); }};
const RepositoryFactory kSqlite{"Sqlite", [](const std::filesystem::path& folder, Clock& clock) {
                                  return open_sqlite_repository(folder / "ktrdr.db", clock).value();
                                }};
const auto kStores = ::testing::Values(kMemory, kSqlite);

INSTANTIATE_TEST_SUITE_P(Stores, OperationsRepositoryContract, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, RepositoryEvents, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, RepositoryLists, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, Restarts, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, StateMatrix, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, SeveralServers, ::testing::Values(kSqlite), name_of_factory);

}  // namespace
}  // namespace ktrdr::storage::testing
