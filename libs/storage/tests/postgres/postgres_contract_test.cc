// The contract suite on PostgreSQL: one server for all, and for each test a database of its own.
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/testing/operations_repository_contract.h"
#include "postgres_fixture.h"

namespace ktrdr::storage::testing {
namespace {

const auto kStores =
    ::testing::Values(RepositoryFactory{"Postgres", [](const auto&, Clock& clock) {
                                          return value_of(open_postgres_repository(fresh_database(), clock));
                                        }});

INSTANTIATE_TEST_SUITE_P(Stores, OperationsRepositoryContract, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, StateMatrix, kStores, name_of_factory);

}  // namespace
}  // namespace ktrdr::storage::testing
