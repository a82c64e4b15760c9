// Any value in any column of the SQLite store, as a failing disk or another program leaves it: every read is
// answered, or refused as damage (kIo) or as what the row then says; nothing crashes.
#include <fuzzer/FuzzedDataProvider.h>

#include <memory>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "sqlite_connection.h"

namespace ktrdr::storage {
namespace {

struct Column {
  const char* table;
  const char* name;
};
// What is read back by more than a comparison.
constexpr Column kColumns[] = {{"operations", "metadata"},
                               {"operations", "progress"},
                               {"operations", "result"},
                               {"operations", "phase"},
                               {"operations", "ended_by"},
                               {"operations", "dropped_checkpoints"},
                               {"operations", "owner"},
                               {"operations", "owner_name"},
                               {"operations", "error_message"},
                               {"operations", "created_at"},
                               {"operations", "last_heartbeat_at"},
                               {"operations", "attempt"},
                               {"operations", "version"},
                               {"operations", "heartbeat_sequence"},
                               {"operations", "last_sequence"},
                               {"operations", "checkpoint_attempt"},
                               {"operations", "checkpoint_sequence"},
                               {"operations", "parent_operation_id"},
                               {"operations", "restarts"},
                               {"operations", "restart_cause"},
                               {"operations", "restart_reason"},
                               {"operations", "restarted_worker"},
                               {"operations", "failed_epoch"},
                               {"operations", "failed_batch"},
                               {"requests", "request"},
                               {"checkpoints", "checkpoint_type"},
                               {"checkpoints", "dropped"},
                               {"checkpoints", "rewound_from"},
                               {"checkpoints", "parent_attempt"},
                               {"checkpoints", "parent_sequence"},
                               {"checkpoints", "epoch"},
                               {"checkpoints", "size_bytes"},
                               {"checkpoints", "created_at"},
                               {"epochs", "metrics"},
                               {"warnings", "message"},
                               {"operation_events", "kind"},
                               {"operation_events", "status"},
                               {"operation_events", "checkpoint"},
                               {"operation_events", "worker_id"},
                               {"operation_events", "message"}};

class Store {
 public:
  Store()
      : repository_(open_sqlite_repository(file_, clock_).value()),
        raw_(SqliteConnection::open(file_, Duration(1000)).value()) {
    CHECK(raw_->run_script("PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF").ok(), "pragmas");
    fill();
    for (const char* table :
         {"operations", "requests", "checkpoints", "epochs", "warnings", "operation_events"}) {
      CHECK(raw_->run_script("CREATE TEMP TABLE saved_" + std::string(table) + " AS SELECT * FROM " + table)
                .ok(),
            "a copy");
    }
  }

  void damage(FuzzedDataProvider& input) {
    const Column column = kColumns[input.ConsumeIntegralInRange<std::size_t>(0, std::size(kColumns) - 1)];
    // STRICT tables keep the type; what does not fit is refused and leaves the row as it was.
    static_cast<void>(raw_->execute("UPDATE " + std::string(column.table) + " SET " + column.name + " = $1",
                                    {value(input)}));
  }

  void restore() {
    CHECK(raw_->run_script("BEGIN; DELETE FROM operation_events; DELETE FROM warnings; DELETE FROM epochs; "
                           "DELETE FROM checkpoints;"
                           "DELETE FROM requests; DELETE FROM operations;"
                           "INSERT INTO operations SELECT * FROM temp.saved_operations;"
                           "INSERT INTO requests SELECT * FROM temp.saved_requests;"
                           "INSERT INTO checkpoints SELECT * FROM temp.saved_checkpoints;"
                           "INSERT INTO epochs SELECT * FROM temp.saved_epochs;"
                           "INSERT INTO warnings SELECT * FROM temp.saved_warnings;"
                           "INSERT INTO operation_events SELECT * FROM temp.saved_operation_events; COMMIT")
              .ok(),
          "the rows are back");
  }

  OperationsRepository& repository() { return *repository_; }

 private:
  static Value value(FuzzedDataProvider& input) {
    switch (input.ConsumeIntegralInRange(0, 3)) {
      case 0: return input.ConsumeIntegral<std::int64_t>();
      case 1: return Value();
      default: return input.ConsumeRandomLengthString(500);
    }
  }

  // One that runs, one that failed; both with checkpoints, epochs and a warning.
  void fill() {
    for (const char* name : {"op_1", "op_2"}) {
      const OperationId id{name};
      const Fence fence{1, {"worker-1"}};
      CHECK(repository_->create(testing::new_operation(name), std::nullopt).ok(), "created");
      CHECK(repository_->claim(id, fence, "alpha").ok(), "claimed");
      CHECK(repository_->commit_checkpoint(id, fence, testing::checkpoint({1, 0}, std::nullopt)).ok(),
            "committed");
      CHECK(
          repository_->commit_checkpoint(id, fence, testing::checkpoint({1, 1}, CheckpointRef{1, 0}, 0)).ok(),
          "committed");
      api::HeartbeatRequest beat = testing::heartbeat(fence, {0, 1});
      beat.warnings = {"It is late."};
      CHECK(repository_->heartbeat(id, beat).ok(), "alive");
    }
    CHECK(repository_->fail({"op_2"}, {1, {"worker-1"}}, "out of memory").ok(), "failed");
  }

  ktrdr::testing::TemporaryFolder folder_;
  ktrdr::testing::ManualClock clock_;
  const std::filesystem::path file_ = folder_ / "ktrdr.db";
  std::unique_ptr<OperationsRepository> repository_;
  std::unique_ptr<SqliteConnection> raw_;
};

// An answer can be sent; a refusal says why.
template <class T>
void check(const Result<T>& answer) {
  CHECK(answer.ok() || !answer.error().message.empty(), "a refusal says why");
}

void read_everything(OperationsRepository& store) {
  for (const char* name : {"op_1", "op_2"}) {
    const OperationId id{name};
    const auto operation = store.get(id);
    check(operation);
    if (operation.ok()) api::to_json(*operation);
    const auto job = store.job(id);
    check(job);
    if (job.ok()) api::to_json(*job);
    check(store.checkpoints(id));
    check(store.children(id));
    check(store.keep(id));
    const auto events = store.events(id, {});
    check(events);
    if (events.ok()) api::to_json(api::EventsData{id.value, events->events, events->last_sequence});
  }
  check(store.list({}));
  check(store.list_checkpoints({.with_total = true}));
  check(store.list_checkpoints({.created_before = "~", .with_total = true}));
  check(store.checkpoint_totals());
  check(store.pulses());
  check(store.waiting(10));
}

void read_damaged(FuzzedDataProvider input) {
  static Store store;
  while (input.remaining_bytes() > 0) store.damage(input);
  read_everything(store.repository());
  // Writes read the row to explain a refusal or to repeat an answer.
  const Fence fence{1, {"worker-1"}};
  check(store.repository().commit_checkpoint({"op_1"}, fence,
                                             testing::checkpoint({1, 1}, CheckpointRef{1, 0}, 0)));
  check(store.repository().fail({"op_2"}, fence, "out of memory"));
  check(store.repository().try_resume({"op_2"}, false, {}, std::nullopt));
  store.restore();
}

}  // namespace
}  // namespace ktrdr::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ktrdr::storage::read_damaged({data, size});
  return 0;
}
