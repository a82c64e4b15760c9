#include "running_operation.h"

#include "../api/programs.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::bench {

Result<api::CommitCheckpointAnswer> RowCommits::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  TRY_ASSIGN(const storage::Committed committed,
             rows_.commit_checkpoint(id, {request.attempt, {request.worker_id}}, request.checkpoint));
  times_.push_back(Stopwatch::now());
  return api::CommitCheckpointAnswer{.dropped = committed.dropped, .version = committed.version};
}

RunningOperation::RunningOperation() {
  const TemporaryFoldersIn disk(on_disk());
  const worker::CheckpointLineage lineage{.operation = id_,
                                          .attempt = 1,
                                          .worker = {"worker-1"},
                                          .acknowledged = std::nullopt,
                                          .next_sequence = 0,
                                          .strategy_yaml = "name: bench\n"};
  folder_ = std::make_unique<testing::TemporaryFolder>();
  auto rows = storage::open_sqlite_repository(folder() / "ktrdr.db", clock_);
  auto store = checkpoints::FileCheckpointStore::open(folder() / "checkpoints");
  CHECK(rows.ok() && store.ok(), "a new folder takes a database and checkpoints");
  rows_ = *std::move(rows);
  store_ = std::make_unique<checkpoints::FileCheckpointStore>(*std::move(store));
  commits_ = std::make_unique<RowCommits>(*rows_);
  CHECK(rows_->create(storage::testing::new_operation(id_.value), std::nullopt).ok() &&
            rows_->claim(id_, {lineage.attempt, lineage.worker}, "bench").ok(),
        "a new operation can be claimed");
  pipeline_ =
      std::make_unique<worker::CheckpointPipeline>(clock_, *store_, *commits_, report_, stop_, lineage);
}

}  // namespace ktrdr::bench
