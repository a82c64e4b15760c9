#include <cstdlib>
#include <filesystem>

#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_contract.h"
#include "ktrdr/storage/testing/several_servers_contract.h"

namespace ktrdr::storage::testing {
namespace {

// The suites commit thousands of times; on a folder in memory that takes seconds also on a busy disk. No test
// here depends on the device: what SIGKILL and failing writes do is the same on every file system.
class FoldersInMemory final : public ::testing::Environment {
  void SetUp() override {
    constexpr int kKeepWhatIsSet = 0;
    if (std::filesystem::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", kKeepWhatIsSet);
  }
};
const auto* const kFoldersInMemory = ::testing::AddGlobalTestEnvironment(new FoldersInMemory);

const RepositoryFactory kMemory{"Memory",
                                [](const auto&, Clock& clock) { return make_memory_repository(clock); }};
const RepositoryFactory kSqlite{"Sqlite", [](const std::filesystem::path& folder, Clock& clock) {
                                  return open_sqlite_repository(folder / "ktrdr.db", clock).value();
                                }};
const auto kStores = ::testing::Values(kMemory, kSqlite);

INSTANTIATE_TEST_SUITE_P(Stores, OperationsRepositoryContract, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, RepositoryLists, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, StateMatrix, kStores, name_of_factory);
INSTANTIATE_TEST_SUITE_P(Stores, SeveralServers, ::testing::Values(kSqlite), name_of_factory);

}  // namespace
}  // namespace ktrdr::storage::testing
