// A running operation with everything behind it that a checkpoint needs: a folder store and a row in SQLite,
// on the disk that holds the build. The server's answer is the repository's, without the network between.
#pragma once

#include <memory>
#include <vector>

#include "../figures.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/operations_repository.h"
#include "ktrdr/worker/checkpoint_pipeline.h"

namespace ktrdr::bench {

class RowCommits final : public worker::ServerApi {
 public:
  explicit RowCommits(storage::OperationsRepository& rows) : rows_(rows) {}

  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request) override;
  // When each was acknowledged. To be asked for while no save is under way.
  const std::vector<Stopwatch::time_point>& times() const { return times_; }

  // Nobody asks for anything else here.
  Result<api::TrainingJob> job(const OperationId&) override { return unasked(); }
  Result<api::ClaimAnswer> claim(const OperationId&, const api::ClaimRequest&) override { return unasked(); }
  Result<api::HeartbeatAnswer> heartbeat(const OperationId&, const api::HeartbeatRequest&) override {
    return unasked();
  }
  Result<api::CommitCheckpointAnswer> rewind(const OperationId&, const api::RewindRequest&) override {
    return unasked();
  }
  Result<api::AppliedAnswer> complete(const OperationId&, const api::CompleteRequest&) override {
    return unasked();
  }
  Result<api::AppliedAnswer> fail(const OperationId&, const api::FailRequest&) override { return unasked(); }
  Result<api::AppliedAnswer> stopped(const OperationId&, const api::StoppedRequest&) override {
    return unasked();
  }

 private:
  static Error unasked() { return {ErrorCode::kInternal, "A checkpoint asks only to be committed."}; }

  storage::OperationsRepository& rows_;
  std::vector<Stopwatch::time_point> times_;
};

class RunningOperation {
 public:
  RunningOperation();

  worker::CheckpointPipeline& pipeline() { return *pipeline_; }
  const checkpoints::CheckpointStore& store() const { return *store_; }
  const RowCommits& commits() const { return *commits_; }
  const OperationId& id() const { return id_; }
  std::filesystem::path folder() const { return folder_->path(); }

 private:
  const OperationId id_{"op_bench"};
  SystemClock clock_;
  std::unique_ptr<testing::TemporaryFolder> folder_;
  std::unique_ptr<storage::OperationsRepository> rows_;
  std::unique_ptr<checkpoints::FileCheckpointStore> store_;
  std::unique_ptr<RowCommits> commits_;
  worker::RunReport report_;
  training::StopSignal stop_;
  std::unique_ptr<worker::CheckpointPipeline> pipeline_;
};

}  // namespace ktrdr::bench
