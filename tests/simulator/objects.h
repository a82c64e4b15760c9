// The checkpoint objects and published models of a simulation, and what the referee knows of them: which are
// there, which bytes they had, which were damaged.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "world.h"

namespace ktrdr::simulator {

using ObjectName = std::pair<OperationId, CheckpointRef>;

class Objects {
 public:
  explicit Objects(World& world) : world_(world) {}

  Result<checkpoints::StoredCheckpoint> put(const checkpoints::CheckpointContent& content);
  void remove(const OperationId& id, CheckpointRef ref);
  void damage(const OperationId& id, CheckpointRef ref);
  checkpoints::testing::MemoryCheckpointStore& store() { return store_; }

  bool is_there(const OperationId& id, CheckpointRef ref) const { return digests_.contains({id, ref}); }
  bool is_damaged(const OperationId& id, CheckpointRef ref) const { return damaged_.contains({id, ref}); }
  std::string digest(const OperationId& id, CheckpointRef ref) const;

  // Written once under its attempt's name, as ModelStore does.
  Result<checkpoints::PublishedModel> publish(const OperationId& id, Attempt attempt,
                                              const std::string& sha256);
  bool is_published(const std::string& path, const std::string& sha256) const;

  // The mutant ObjectNotDurable: what this worker wrote last goes with it.
  void forget_unsynced(const Process* writer);

 private:
  World& world_;
  checkpoints::testing::MemoryCheckpointStore store_;
  std::map<ObjectName, std::string> digests_;
  std::set<ObjectName> damaged_;
  std::map<std::string, std::string> models_;
  std::map<const Process*, ObjectName> newest_of_;
};

}  // namespace ktrdr::simulator
