// A mutex that owns its data: the only way in is lock() (or wait()), so nothing is touched unguarded.
//
//   Synchronized<std::deque<Job>> queue_;
//   queue_.lock()->push_back(job);
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "ktrdr/core/clock.h"

namespace ktrdr {

template <class T>
class Synchronized {
 public:
  Synchronized() = default;
  explicit Synchronized(T value) : value_(std::move(value)) {}

  class Guard {
   public:
    T* operator->() { return value_; }
    T& operator*() { return *value_; }

   private:
    friend class Synchronized;
    Guard(std::mutex& mutex, T& value) : lock_(mutex), value_(&value) {}
    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  Guard lock() { return Guard(mutex_, value_); }

  // Changes the data under the lock and wakes everyone who waits.
  template <class Change>
  void update(Change change) {
    {
      const std::lock_guard hold(mutex_);
      change(value_);
    }
    changed_.notify_all();
  }

  // Waits until `ready(T&)` holds or `timeout` has passed (real time: it is a bound, not a schedule), then
  // calls `then(T&, bool ready)` under the lock and returns what it returns.
  template <class Ready, class Then>
  auto wait(Duration timeout, Ready ready, Then then) {
    std::unique_lock hold(mutex_);
    const bool is_ready = changed_.wait_for(hold, timeout, [&] { return ready(value_); });
    return then(value_, is_ready);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_{};
};

}  // namespace ktrdr
