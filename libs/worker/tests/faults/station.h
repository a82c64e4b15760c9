// A server's store and a worker's files in one folder, joined without HTTP: the real repository on SQLite,
// the real checkpoint pipeline, restore, sweep and model store. What the fault tests interrupt, and what they
// recover with.
//
// Used by one thread. The training is made up: checkpoint `1-7` holds sample_snapshot(7), so what is read
// back can be compared with what must be there.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/storage/operations_repository.h"
#include "ktrdr/training/resume.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker::testing {

training::TrainingSnapshot sample_snapshot(std::int64_t seed);
bool holds_sample(const training::TrainingResumeContext& context, std::int64_t seed);

// What somebody was told is done.
struct Promised {
  bool created = false, finished = false, removed = false;
  std::optional<CheckpointRef> saved;
};

class Station final : public ServerApi {
 public:
  // Creates what is missing. <folder>/ktrdr.db, checkpoints/, models/.
  static Result<std::unique_ptr<Station>> open(const std::filesystem::path& folder,
                                               std::uint64_t reserve_bytes = 0);

  // ---- the life of one training; each is an error that was reported, never a crash ----
  Result<void> begin();  // created and claimed
  Result<CheckpointRef> save(api::CheckpointType type = api::CheckpointType::kPeriodic);
  Result<void> finish();            // the model is published, the row completed, the checkpoints go
  Result<void> stop();              // cancelled
  Result<void> hand_over();         // failed, and resumed as the next attempt, unclaimed
  Result<CheckpointRef> restore();  // TrainingWorker::resume: verify, claim, rewind; where it goes on from
  Result<void> remove();            // DELETE of an operation's checkpoints
  Result<void> sweep();

  // "" when everything that was promised is there and whole, and all that a row names with it.
  std::string problem(const Promised& promised);
  // After a crash: somebody else takes over, saves, sweeps, finishes. "" when nothing stood in the way and
  // nothing was left lying around.
  std::string problem_going_on();

  // ---- ServerApi ----
  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request) override;
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id,
                                         const api::HeartbeatRequest& request) override;
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request) override;
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id,
                                             const api::RewindRequest& request) override;
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request) override;
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request) override;

  checkpoints::FileCheckpointStore& objects() { return objects_; }
  storage::OperationsRepository& rows() { return *rows_; }
  static const OperationId& operation();
  const std::vector<std::string>& warnings() const { return warnings_; }  // of all saves

 private:
  Station(std::filesystem::path folder, checkpoints::FileCheckpointStore objects,
          checkpoints::ModelStore models)
      : folder_(std::move(folder)), objects_(std::move(objects)), models_(std::move(models)) {}

  std::string problem_of_model(const api::Operation& row) const;
  std::string problem_of_rows(const Promised& promised);
  std::string leftovers();
  Result<storage::Fence> fence();

  std::filesystem::path folder_;
  std::vector<std::string> warnings_;
  SystemClock clock_;
  checkpoints::FileCheckpointStore objects_;
  checkpoints::ModelStore models_;
  std::unique_ptr<storage::OperationsRepository> rows_;
};

}  // namespace ktrdr::worker::testing
