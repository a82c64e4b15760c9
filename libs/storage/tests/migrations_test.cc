#include "migrations.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "sqlite_connection.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
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

class Migrations : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteConnection> connect() {
    EXPECT_TRUE(FileDescriptor(::open(file_.c_str(), O_RDWR | O_CREAT, 0600)).is_open());
    return value_of(SqliteConnection::open(file_, Duration(100)));
  }

  void write_schema(std::size_t steps) {
    ASSERT_THAT(migrate(*connect(), file_, sqlite_migrations().first(steps), clock_), IsOk());
  }

  std::string schema() {
    std::string text;
    for (const Row& row :
         value_of(connect()->execute("SELECT sql FROM sqlite_master ORDER BY type, name", {}))) {
      text += RowReader(row).text() + "\n";
    }
    return text;
  }

  auto open() { return open_sqlite_repository(file_, clock_); }

  ktrdr::testing::TemporaryFolder folder_;
  ktrdr::testing::ManualClock clock_;
  const std::filesystem::path file_ = folder_ / "ktrdr.db";
};

TEST_F(Migrations, EverySchemaIsWalkedToTheNewestWithItsRows) {
  ASSERT_THAT(open(), IsOk());
  const std::string newest = schema();
  for (std::size_t steps = 1; steps <= sqlite_migrations().size(); ++steps) {
    std::filesystem::remove(file_);
    write_schema(steps);
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

TEST_F(Migrations, NumbersRiseByOne) {
  std::int64_t expected = 1;
  for (const Migration& step : sqlite_migrations()) EXPECT_EQ(step.version, expected++);
}

TEST_F(Migrations, ADatabaseOfANewerProgramIsRefusedAndUntouched) {
  ASSERT_THAT(open(), IsOk());
  ASSERT_THAT(connect()->run_script("INSERT INTO schema_version VALUES (99, '2030-01-01T00:00:00.000Z')"),
              IsOk());
  const std::string before = schema();
  EXPECT_THAT(open(), FailsWith(ErrorCode::kUnsupported));
  EXPECT_THAT(open(), SaysError("99"));
  EXPECT_EQ(schema(), before);
}

TEST_F(Migrations, AStepThatFailsLeavesNothingBehind) {
  const Migration broken[] = {sqlite_migrations()[0], {2, "CREATE TABLE half (a); CREATE TABLE half (a);"}};
  EXPECT_FALSE(migrate(*connect(), file_, broken, clock_).ok());
  EXPECT_EQ(schema(), "");
  EXPECT_THAT(open(), IsOk());
}

TEST_F(Migrations, AnotherProgramsDatabaseIsRefusedAndUntouched) {
  ASSERT_THAT(connect()->run_script("CREATE TABLE bookmarks (url TEXT)"), IsOk());
  EXPECT_THAT(open(), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(open(), SaysError("another program"));
  EXPECT_EQ(schema(), "CREATE TABLE bookmarks (url TEXT)\n");
}

TEST_F(Migrations, AFileThatIsNoDatabaseIsRefusedAndUntouched) {
  const std::string text = "Dear diary, " + std::string(5000, 'x');
  std::ofstream(file_) << text;
  EXPECT_THAT(open(), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(open(), SaysError("damaged or not a database"));
  EXPECT_EQ(read_file(file_, 10'000).value(), text);
}

TEST_F(Migrations, TheFileIsReadableByItsOwnerOnly) {
  const auto store = value_of(open());
  for (const char* name : {"ktrdr.db", "ktrdr.db-wal"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << name;
  }
}

TEST_F(Migrations, AFolderThatCanNotBeWrittenIsAnError) {
  EXPECT_THAT(open_sqlite_repository("/proc/ktrdr.db", clock_), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(open_sqlite_repository(folder_ / "missing" / "ktrdr.db", clock_), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(open_sqlite_repository(folder_.path(), clock_), FailsWith(ErrorCode::kIo));
}

}  // namespace
}  // namespace ktrdr::storage
