// A new, empty database for each test, on the server that the tests of this program share.
#pragma once

#include <string>

#include "../folders_in_memory.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/testing/postgres_cluster.h"

namespace ktrdr::storage::testing {

// Of a database that has the newest schema. A copy of it costs a tenth of what the schema costs.
inline const std::string& migrated_template() {
  static const std::string name = [] {
    PostgresCluster::shared().create_database("migrated");
    ktrdr::testing::ManualClock clock;
    EXPECT_THAT(open_postgres_repository(PostgresCluster::shared().uri("migrated"), clock),
                ktrdr::testing::IsOk());
    return std::string("migrated");
  }();
  return name;
}

// The URI of a database that no test has used; that of the test before goes.
inline std::string fresh_database(const std::string& template_name = migrated_template()) {
  static int number = 0;
  PostgresCluster& cluster = PostgresCluster::shared();
  if (number > 0) cluster.drop_database("test_" + std::to_string(number));
  const std::string name = "test_" + std::to_string(++number);
  cluster.create_database(name, template_name);
  return cluster.uri(name);
}

}  // namespace ktrdr::storage::testing
