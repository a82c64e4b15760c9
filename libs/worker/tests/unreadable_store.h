// A store that answers every call with one error, as a disk that can't be read does.
#pragma once

#include <atomic>

#include "ktrdr/checkpoints/checkpoint_store.h"

namespace ktrdr::worker {

class UnreadableStore : public checkpoints::CheckpointStore {
 public:
  explicit UnreadableStore(Error answer) : answer_(std::move(answer)) {}

  Result<checkpoints::StoredCheckpoint> put(const checkpoints::CheckpointContent&) override {
    return answer_;
  }
  Result<checkpoints::VerifiedCheckpoint> load(const OperationId&, CheckpointRef) const override {
    ++loads_;
    return answer_;
  }
  Result<std::vector<CheckpointRef>> list(const OperationId&) const override { return answer_; }
  Result<std::vector<OperationId>> operations() const override { return answer_; }
  Result<void> remove(const OperationId&, CheckpointRef) override { return answer_; }
  Result<void> remove_operation(const OperationId&) override { return answer_; }
  Result<std::size_t> remove_leftovers(const OperationId&,
                                       const std::function<bool(CheckpointRef)>&) override {
    return answer_;
  }

  int loads() const { return loads_; }

 private:
  const Error answer_;
  mutable std::atomic<int> loads_ = 0;
};

}  // namespace ktrdr::worker
