// A fixed number of connections that many threads share. Each is opened when it is first needed, and again
// when it was lost.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "postgres_connection.h"

namespace ktrdr::storage {

// Safe from any thread; must outlive its leases.
class PostgresPool {
 public:
  using Handle = std::unique_ptr<PostgresConnection>;

  // One connection of the pool, for one thread, given back at the end.
  class Lease {
   public:
    Lease(PostgresPool& pool, Handle connection) : pool_(&pool), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept = default;
    ~Lease();

    // Opens it where it is closed; the error of that.
    Result<PostgresConnection*> open();
    void close() { connection_.reset(); }

   private:
    struct Nothing {
      void operator()(PostgresPool*) const {}
    };
    std::unique_ptr<PostgresPool, Nothing> pool_;  // not owned: empty after a move
    Handle connection_;
  };

  PostgresPool(PostgresAddress address, PostgresConnection::Use use, std::size_t size)
      : address_(std::move(address)), use_(use), idle_(size) {}

  // kUnavailable when none came back in this time.
  Result<Lease> take(Duration longest_wait);

 private:
  void give_back(Handle connection);

  const PostgresAddress address_;
  const PostgresConnection::Use use_;
  // Not Synchronized: that wakes everyone who waits, and here each connection is for one of many.
  std::mutex mutex_;
  std::condition_variable came_back_;
  std::vector<Handle> idle_;  // by mutex_; the closed ones in front, the last used at the end
};

}  // namespace ktrdr::storage
