#include "postgres_pool.h"

namespace ktrdr::storage {

PostgresPool::Lease::~Lease() {
  if (!pool_) return;
  if (connection_ && connection_->failure() == PostgresConnection::Failure::kLost) close();
  pool_->give_back(std::move(connection_));
}

Result<PostgresConnection*> PostgresPool::Lease::open() {
  if (!connection_) {
    TRY_ASSIGN(connection_, PostgresConnection::open(pool_->address_, pool_->use_));
  }
  return connection_.get();
}

Result<PostgresPool::Lease> PostgresPool::take(Duration longest_wait) {
  std::unique_lock hold(mutex_);
  if (!came_back_.wait_for(hold, longest_wait, [this] { return !idle_.empty(); })) {
    return Error(ErrorCode::kUnavailable, "The database is too busy to answer; try again later.");
  }
  Handle connection = std::move(idle_.back());
  idle_.pop_back();
  return Lease(*this, std::move(connection));
}

void PostgresPool::give_back(Handle connection) {
  {
    const std::lock_guard hold(mutex_);
    idle_.insert(connection ? idle_.end() : idle_.begin(), std::move(connection));
  }
  came_back_.notify_one();
}

}  // namespace ktrdr::storage
