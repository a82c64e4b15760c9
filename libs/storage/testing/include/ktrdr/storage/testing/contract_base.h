// What the parts of the repository's contract stand on: a store made by the factory under test.
#pragma once

#include <limits>
#include <map>

#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::storage::testing {

using api::OperationStatus;
using api::Phase;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

inline std::string name_of_factory(const ::testing::TestParamInfo<RepositoryFactory>& info) {
  return info.param.name;
}

class OperationsRepositoryContract : public RepositoryTest,
                                     public ::testing::WithParamInterface<RepositoryFactory> {
 protected:
  void SetUp() override { store_ = GetParam().make(folder_.path(), clock_); }
  OperationsRepository& store() override { return *store_; }

  Result<Resumed> resume(const OperationId& id, const Precondition& precondition = {},
                         const std::optional<IdempotencyKey>& key = std::nullopt) {
    return store().try_resume(id, false, precondition, key);
  }

  std::unique_ptr<OperationsRepository> store_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OperationsRepositoryContract);

}  // namespace ktrdr::storage::testing
