#include "ktrdr/services/event_feed.h"

#include <algorithm>

#include "ktrdr/core/log.h"

namespace ktrdr::services {

EventFeed::EventFeed(Clock& clock, storage::OperationsRepository& operations, const Options& options)
    : clock_(clock),
      operations_(operations),
      options_(options),
      loop_(std::make_unique<PeriodicTask>("events", options.poll_interval, [this] { run(); })) {}

Result<void> EventFeed::subscribe(const OperationId& id, std::int64_t after,
                                  std::shared_ptr<EventSink> sink) {
  TRY(operations_.events(id, {.after = after, .limit = 0}));
  auto reader = std::make_shared<Reader>(Reader{id, after, std::move(sink), clock_.monotonic(), false});
  {
    auto state = state_.lock();
    if (state->readers.size() >= options_.most_readers) {
      return Error(ErrorCode::kUnavailable,
                   "Too many event streams are open; close one, or read the events page by page.");
    }
    state->readers.push_back(std::move(reader));
    state->changed.insert(id);
  }
  loop_->wake();
  return {};
}

void EventFeed::changed(const OperationId& id) {
  {
    auto state = state_.lock();
    const auto watches = [&](const auto& reader) { return reader->id == id; };
    if (std::none_of(state->readers.begin(), state->readers.end(), watches)) return;
    state->changed.insert(id);
  }
  loop_->wake();
}

void EventFeed::run() {
  Readers readers = state_.lock()->readers;
  if (readers.empty()) return;
  const std::set<OperationId> changed = take_changed(readers);
  for (const auto& reader : readers) {
    if (changed.contains(reader->id)) tell(*reader);
    if (!reader->is_done) keep_alive(*reader);
  }
  std::erase_if(state_.lock()->readers, [](const auto& reader) { return reader->is_done; });
}

// What this server changed, and when the time has come what another one did.
std::set<OperationId> EventFeed::take_changed(const Readers& readers) {
  std::set<OperationId> changed;
  changed.swap(state_.lock()->changed);
  if (clock_.monotonic() < next_poll_) return changed;
  next_poll_ = clock_.monotonic() + options_.poll_interval;
  changed.merge(unread_);
  unread_.clear();
  add_what_grew(readers, changed);
  return changed;
}

void EventFeed::add_what_grew(const Readers& readers, std::set<OperationId>& changed) {
  std::vector<OperationId> ids;
  for (const auto& reader : readers) ids.push_back(reader->id);
  const auto newest = operations_.last_events(ids);
  if (!newest.ok()) {
    log(LogLevel::kWarning, "the events could not be read", {{"error", newest.error().describe()}});
    return;  // asked again at the next poll
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (newest->at(i) > readers[i]->last) changed.insert(ids[i]);
  }
}

void EventFeed::tell(Reader& reader) {
  while (!reader.is_done) {
    const auto page = operations_.events(reader.id, {.after = reader.last, .limit = storage::kMostEvents});
    if (!page.ok()) {
      unread_.insert(reader.id);
      return;
    }
    tell_page(reader, *page);
    if (page->events.empty()) return;
  }
}

void EventFeed::tell_page(Reader& reader, const storage::EventPage& page) {
  for (const api::OperationEvent& event : page.events) {
    reader.is_done = !reader.sink->event(event);
    if (reader.is_done) return;
    reader.last = event.sequence;
    reader.last_sign = clock_.monotonic();
  }
  const bool was_told_all = reader.last >= page.last_sequence;
  if (!was_told_all || !is_finished(page.status)) return;
  reader.sink->end(page.status);
  reader.is_done = true;
}

void EventFeed::keep_alive(Reader& reader) {
  reader.is_done = !reader.sink->is_open();
  if (reader.is_done || clock_.monotonic() - reader.last_sign < options_.keep_alive_interval) return;
  reader.last_sign = clock_.monotonic();
  reader.is_done = !reader.sink->keep_alive();
}

}  // namespace ktrdr::services
