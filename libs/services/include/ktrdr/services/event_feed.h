// Brings the history of operations to those who want to watch it grow. One thread for all readers: it asks
// the store about all watched operations once a second, in one question (another server may have written),
// and at once about an operation that this server changed. With no reader it asks nothing.
//
// A reader gets every event that follows the number it began after, each once, in order; then end(), as soon
// as the operation is finished and everything was told. A store that does not answer costs time, no event.
// Owned by whoever wires the process; every method is safe to call from any thread.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/services/periodic_task.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

// Called by the feed's thread; must not block. False: nobody listens any more.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual bool event(const api::OperationEvent& event) = 0;
  virtual bool keep_alive() = 0;  // nothing happened for a while
  virtual bool is_open() const = 0;
  virtual void end(api::OperationStatus status) = 0;
};

class EventFeed {
 public:
  struct Options {
    Duration poll_interval = std::chrono::seconds(1);
    Duration keep_alive_interval = std::chrono::seconds(15);
    std::size_t most_readers = 512;
  };
  EventFeed(Clock& clock, storage::OperationsRepository& operations)
      : EventFeed(clock, operations, Options()) {}
  EventFeed(Clock& clock, storage::OperationsRepository& operations, const Options& options);

  // kNotFound for an unknown operation; kUnavailable when there are too many readers.
  Result<void> subscribe(const OperationId& id, std::int64_t after, std::shared_ptr<EventSink> sink);

  // This server may have changed it. Costs nothing when nobody watches it.
  void changed(const OperationId& id);

  std::size_t readers() const { return state_.lock()->readers.size(); }

 private:
  struct Reader {
    OperationId id;
    std::int64_t last = 0;  // the number of the last event told
    std::shared_ptr<EventSink> sink;
    Duration last_sign{0};
    bool is_done = false;
  };
  using Readers = std::vector<std::shared_ptr<Reader>>;
  struct State {
    Readers readers;
    std::set<OperationId> changed;  // of those that are watched
  };

  void run();
  std::set<OperationId> take_changed(const Readers& readers);
  void add_what_grew(const Readers& readers, std::set<OperationId>& changed);
  void tell(Reader& reader);
  void tell_page(Reader& reader, const storage::EventPage& page);
  void keep_alive(Reader& reader);

  Clock& clock_;
  storage::OperationsRepository& operations_;
  const Options options_;
  mutable Synchronized<State> state_;
  Duration next_poll_{0};               // the feed's thread alone, likewise:
  std::set<OperationId> unread_;        // the store did not answer: again at the next poll
  std::unique_ptr<PeriodicTask> loop_;  // last: it uses all of the above
};

}  // namespace ktrdr::services
