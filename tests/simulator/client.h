// People: start, cancel, resume, delete, ask again. What they were told is remembered and held against what
// they read later.
#pragma once

#include <string>
#include <vector>

#include "cluster.h"

namespace ktrdr::simulator {

class Client {
 public:
  Client(Cluster& cluster, int operations);
  void begin();  // starts one person for each operation, and one who meddles with all

  const std::vector<OperationId>& acknowledged() const { return acknowledged_; }
  bool has_started_all() const { return started_ == static_cast<int>(ids_.size()); }
  // Once: a resume that nobody disturbs.
  Result<api::ResumeOperationData> resume(const OperationId& id);

 private:
  void start(const OperationId& id);
  void act(OperationId id);
  void cancel(const OperationId& id);
  void resume_somehow(const OperationId& id);
  void delete_checkpoints(const OperationId& id);
  void retry(const OperationId& id);
  void look(const OperationId& id);

  template <class Handle>
  auto ask(Handle handle) -> decltype(handle(std::declval<ServerLife&>()));
  Result<api::ResumeOperationData> resume(const OperationId& id, const storage::Precondition& precondition,
                                          const std::optional<storage::IdempotencyKey>& key);
  storage::Precondition some_precondition(const OperationId& id);

  Cluster& cluster_;
  World& world_;
  const ProcessPtr process_;
  std::vector<OperationId> ids_, acknowledged_;
  std::vector<std::pair<OperationId, storage::IdempotencyKey>> keys_;
  int started_ = 0, next_key_ = 0, retries_ = 0;
};

}  // namespace ktrdr::simulator
