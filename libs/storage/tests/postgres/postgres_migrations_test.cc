#include <latch>
#include <thread>

#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "migrations.h"
#include "postgres_connection.h"
#include "postgres_fixture.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using testing::fresh_database;
using testing::value_of;

// Rows as the first schema held them. Never edited: they are what is out there.
constexpr const char* kRowsOfSchema1 = R"sql(
INSERT INTO operations (operation_id, operation_type, status, phase, attempt, version, owner, created_at,
                        metadata, progress, checkpoint_attempt, checkpoint_sequence, last_sequence)
VALUES ('op_run', 'training', 'running', 'training', 2, 5, 'worker-1', '2026-01-01T00:00:00.000Z',
        '{}', '{"percentage":50}', 1, 7, 7),
       ('op_new', 'training', 'pending', 'queued', 1, 1, NULL, '2026-01-02T00:00:00.000Z', '{}', '{}', NULL, NULL, -1),
       ('op_two', 'training', 'pending', 'queued', 1, 1, NULL, '2026-01-03T00:00:00.000Z', '{}', '{}', NULL, NULL, -1);
INSERT INTO checkpoints (operation_id, attempt, sequence, checkpoint_type, start_epoch, start_batch, global_step,
                         created_at, size_bytes, manifest_digest)
VALUES ('op_run', 1, 7, 'periodic', 3, 0, 300, '2026-01-01T00:00:00.000Z', 1, 'd');
)sql";

constexpr const char* kSchemaInWords = R"sql(
SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || COALESCE(collation_name, '') || ' '
       || is_nullable || ' ' || COALESCE(column_default, '')
  FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = to_regnamespace('ktrdr')
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = to_regnamespace('ktrdr')
ORDER BY 1
)sql";

class PostgresMigrations : public ::testing::Test {
 protected:
  void begin_empty() { uri_ = fresh_database("template0"); }

  std::unique_ptr<PostgresConnection> connect() {
    const PostgresAddress address = PostgresAddress::parse(uri_).value();
    return value_of(PostgresConnection::open(address, PostgresConnection::Use::kWriting));
  }
  auto open() { return open_postgres_repository(uri_, clock_); }

  std::string schema() {
    std::string text;
    for (const Row& row : value_of(connect()->execute(kSchemaInWords, {})))
      text += RowReader(row).text() + "\n";
    return text;
  }

  ktrdr::testing::ManualClock clock_;
  std::string uri_ = fresh_database("template0");
};

TEST_F(PostgresMigrations, EverySchemaIsWalkedToTheNewestWithItsRows) {
  ASSERT_THAT(open(), IsOk());
  const std::string newest = schema();
  EXPECT_THAT(newest, ::testing::HasSubstr("operations.status text C NO"));
  for (std::size_t steps = 1; steps <= postgres_migrations().size(); ++steps) {
    begin_empty();
    ASSERT_THAT(migrate(*connect(), "test", postgres_migrations().first(steps), clock_), IsOk());
    ASSERT_THAT(connect()->run_script(kRowsOfSchema1), IsOk());
    const auto store = value_of(open());
    EXPECT_EQ(schema(), newest) << steps;
    EXPECT_EQ(value_of(store->get({"op_run"})).checkpoint->ref, (CheckpointRef{1, 7}));
    const OperationPage page = value_of(store->list({.status = api::OperationStatus::kPending}));
    EXPECT_EQ(page.total_count, 2) << steps;
    EXPECT_EQ(page.active_count, 3) << steps;
    EXPECT_EQ(value_of(store->list_checkpoints({.with_total = true})).total_count, 1) << steps;
    EXPECT_EQ(value_of(store->events({"op_new"}, {})).last_sequence, 0) << "no history before this schema";
    EXPECT_THAT(store->claim({"op_new"}, {1, {"worker-2"}}, ""), IsOk());
    const EventPage history = value_of(store->events({"op_new"}, {}));
    ASSERT_EQ(history.events.size(), 1u);
    EXPECT_EQ(history.events[0].sequence, 1);
    EXPECT_EQ(history.events[0].kind, api::EventKind::kClaimed);
    EXPECT_EQ(value_of(store->list({.status = api::OperationStatus::kRunning})).total_count, 2);
  }
}

TEST_F(PostgresMigrations, StepsHaveTheNumbersOfSqlites) {
  ASSERT_EQ(postgres_migrations().size(), sqlite_migrations().size());
  for (std::size_t step = 0; step < postgres_migrations().size(); ++step) {
    EXPECT_EQ(postgres_migrations()[step].version, sqlite_migrations()[step].version);
  }
}

TEST_F(PostgresMigrations, ServersThatStartAtOnceAgree) {
  for (int round = 0; round < 3; ++round) {
    begin_empty();
    constexpr int kServers = 6;
    std::latch start(kServers);
    {
      std::vector<std::jthread> servers;
      for (int server = 0; server < kServers; ++server) {
        servers.emplace_back([&] {
          start.arrive_and_wait();
          EXPECT_THAT(open(), IsOk());
        });
      }
    }
    const Rows steps = value_of(connect()->execute("SELECT version FROM schema_version", {}));
    EXPECT_EQ(steps.size(), postgres_migrations().size());
  }
}

TEST_F(PostgresMigrations, ADatabaseOfANewerProgramIsRefusedAndUntouched) {
  ASSERT_THAT(open(), IsOk());
  ASSERT_THAT(connect()->run_script("INSERT INTO schema_version VALUES (99, '2030-01-01T00:00:00.000Z')"),
              IsOk());
  const std::string before = schema();
  EXPECT_THAT(open(), FailsWith(ErrorCode::kUnsupported));
  EXPECT_THAT(open(), SaysError("99"));
  EXPECT_EQ(schema(), before);
}

TEST_F(PostgresMigrations, AStepThatFailsLeavesNothingBehind) {
  const std::string before = schema();
  const Migration broken[] = {postgres_migrations()[0],
                              {2, "CREATE TABLE ktrdr.half (a INT); CREATE TABLE ktrdr.half (a INT);"}};
  EXPECT_FALSE(migrate(*connect(), "test", broken, clock_).ok());
  EXPECT_EQ(schema(), before);
  EXPECT_THAT(open(), IsOk());
}

TEST_F(PostgresMigrations, AnotherProgramsSchemaOfOurNameIsRefusedAndUntouched) {
  for (const char* theirs : {"CREATE SCHEMA ktrdr; CREATE TABLE ktrdr.bookmarks (url TEXT)",
                             "CREATE SCHEMA ktrdr; CREATE TABLE ktrdr.schema_version (version BIGINT)"}) {
    begin_empty();
    ASSERT_THAT(connect()->run_script(theirs), IsOk());
    const std::string before = schema();
    EXPECT_THAT(open(), FailsWith(ErrorCode::kInvalidArgument));
    EXPECT_THAT(open(), SaysError("another program"));
    EXPECT_EQ(schema(), before);
  }
}

TEST_F(PostgresMigrations, OtherSchemasOfTheDatabaseAreLeftAlone) {
  ASSERT_THAT(connect()->run_script("CREATE TABLE public.operations (theirs TEXT);"
                                    "INSERT INTO public.operations VALUES ('mine')"),
              IsOk());
  const auto store = value_of(open());
  ASSERT_THAT(store->create(testing::new_operation("op_1"), std::nullopt), IsOk());
  EXPECT_EQ(value_of(connect()->execute("SELECT theirs FROM public.operations", {})),
            (Rows{{std::string("mine")}}));
}

TEST_F(PostgresMigrations, AnEmptySchemaThatAnAdministratorMadeIsUsed) {
  testing::PostgresCluster& cluster = testing::PostgresCluster::shared();
  static_cast<void>(connect()->run_script("CREATE ROLE plain LOGIN"));
  ASSERT_THAT(connect()->run_script("CREATE SCHEMA ktrdr AUTHORIZATION plain"), IsOk());
  const std::string database =
      RowReader(value_of(connect()->execute("SELECT current_database()", {})).front()).text();
  const auto store = open_postgres_repository(cluster.uri(database, "plain"), clock_);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->create(testing::new_operation("op_1"), std::nullopt), IsOk());
}

TEST_F(PostgresMigrations, AUserWhoMayNotMakeASchemaIsToldWhatToGrant) {
  static_cast<void>(connect()->run_script("CREATE ROLE powerless LOGIN"));
  const std::string database =
      RowReader(value_of(connect()->execute("SELECT current_database()", {})).front()).text();
  const auto store =
      open_postgres_repository(testing::PostgresCluster::shared().uri(database, "powerless"), clock_);
  EXPECT_THAT(store, FailsWith(ErrorCode::kIo));
  EXPECT_THAT(store, SaysError("GRANT CONNECT, CREATE ON DATABASE"));
}

TEST_F(PostgresMigrations, TextIsOrderedByItsBytesWhateverTheDatabasesLanguage) {
  const Rows by_language = value_of(connect()->execute("SELECT 'op_a' < 'op_B' AND 'op_1' < 'op-2'", {}));
  ASSERT_EQ(RowReader(by_language.front()).text(), "t") << "the server orders by bytes anyway: a vain test";
  const auto store = value_of(open());
  for (const char* id : {"op_a", "op_B", "op-2", "op_1"}) {
    ASSERT_THAT(store->create(testing::new_operation(id), std::nullopt), IsOk());
  }
  std::vector<std::string> newest_first;
  for (const api::Operation& operation : value_of(store->list({})).operations) {
    newest_first.push_back(operation.operation_id);
  }
  EXPECT_THAT(newest_first, ::testing::ElementsAre("op_a", "op_B", "op_1", "op-2"));
}

}  // namespace
}  // namespace ktrdr::storage
