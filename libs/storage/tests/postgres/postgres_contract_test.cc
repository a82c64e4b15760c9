// The contract suites on PostgreSQL: one server for all, and for each test a database of its own.
#include <fstream>

#include "ktrdr/storage/testing/operations_repository_contract.h"
#include "ktrdr/storage/testing/several_servers_contract.h"
#include "postgres_fixture.h"

namespace ktrdr::storage::testing {
namespace {

// The folder remembers its database.
std::string database_of(const std::filesystem::path& folder) {
  std::string uri;
  if (std::getline(std::ifstream(folder / "uri"), uri)) return uri;
  uri = fresh_database();
  std::ofstream(folder / "uri") << uri << "\n";
  return uri;
}

const auto kStores = ::testing::Values(
    RepositoryFactory{"Postgres", [](const std::filesystem::path& folder, Clock& clock) {
                        return value_of(open_postgres_repository(database_of(folder), clock));
                      }});

INSTANTIATE_TEST_SUITE_P(Stores, OperationsRepositoryContract, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, RepositoryEvents, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, RepositoryLists, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, Restarts, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, StateMatrix, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, SeveralServers, kStores, name_of_factory);

}  // namespace
}  // namespace ktrdr::storage::testing
