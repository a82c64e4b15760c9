#include "follower.h"

#include <optional>

#include "operation_text.h"
#include "progress_display.h"

namespace ktrdr::cli {
namespace {

constexpr Duration kPollInterval{300};
constexpr Duration kPollTimeout{5'000};
constexpr Duration kLongestOutage{60'000};

using Polled = std::optional<api::Operation>;  // none: the server does not answer right now

class Follower {
 public:
  Follower(const Context& context, const OperationId& id, const FollowOptions& options)
      : context_(context),
        id_(id),
        options_(options),
        display_({context.surroundings().streams.err, context.surroundings().streams.is_terminal,
                  context.surroundings().terminal_width}),
        pause_(context.surroundings().begin_pauses()) {}

  Result<ExitCode> run() {
    TRY_ASSIGN(poll_api_, context_.api(kPollTimeout));
    for (;;) {
      TRY_ASSIGN(Polled operation, poll());
      if (operation) {
        show(*operation);
        last_seen_ = std::move(operation);
        if (api::is_finished(last_seen_->status)) return end(*last_seen_);
      }
      if (pause_->is_interrupted()) {
        if (options_.on_interrupt == OnInterrupt::kDetach) return detach();
        TRY(cancel_once());
      }
      pause_->wait(kPollInterval);
    }
  }

 private:
  Result<Polled> poll() {
    auto answer = poll_api_->operation(id_);
    if (answer.ok()) {
      if (away_since_) display_.note("The server is back.");
      away_since_.reset();
      options_.server_is_there = true;
      return Polled(std::move(answer->data));
    }
    const bool is_outage = answer.error().code == ErrorCode::kUnavailable && options_.server_is_there;
    if (is_outage && wait_is_worth_it()) return Polled();
    display_.finish();
    return std::move(answer).error().while_doing("following " + id_.value);
  }

  bool wait_is_worth_it() {
    const Duration now = context_.surroundings().clock.monotonic();
    if (!away_since_) {
      display_.note("The server does not answer; the training goes on without it. Trying again for 60 s.");
      away_since_ = now;
    }
    return now - *away_since_ < kLongestOutage;
  }

  void show(const api::Operation& operation) {
    for (; warnings_shown_ < operation.warnings.size(); ++warnings_shown_) {
      display_.note("Warning: " + operation.warnings[warnings_shown_]);
    }
    display_.show(operation, queue_reason(operation));
  }

  std::string queue_reason(const api::Operation& operation) {
    if (operation.phase != api::Phase::kQueued) return "";
    const auto health = poll_api_->health();
    if (!health.ok()) return "";
    return health->workers_connected == 0 ? "no worker is connected" : "it starts when a worker is free";
  }

  // Until the server got it: a request that never arrived has not been sent.
  Result<void> cancel_once() {
    if (cancel_sent_ || away_since_) return {};
    announce_cancel();
    TRY_ASSIGN(const auto api, context_.api());
    const auto cancelled = api->cancel(id_, {.reason = "Ctrl+C"});
    if (cancelled.ok()) {
      cancel_sent_ = true;
      return {};
    }
    const ErrorCode code = cancelled.error().code;
    cancel_sent_ = code == ErrorCode::kConflict;  // it ended by itself: the next look says how
    if (cancel_sent_ || code == ErrorCode::kUnavailable) return {};
    return cancelled.error();
  }

  void announce_cancel() {
    if (cancel_announced_) return;
    display_.note("Cancelling " + id_.value +
                  ": it saves a checkpoint first. Ctrl+C again leaves at once, without waiting for it.");
    cancel_announced_ = true;
  }

  ExitCode detach() {
    display_.finish();
    context_.note("Stopped watching; the training goes on. Watch it again with: ktrdr follow " + id_.value);
    if (context_.json() && last_seen_) context_.print(api::to_json(*last_seen_));
    return ExitCode::kOk;
  }

  ExitCode end(const api::Operation& operation) {
    display_.finish();
    context_.print(context_.json() ? api::to_json(operation) : operation_text(operation, context_.now()));
    if (const std::string hint = resume_hint(operation); !hint.empty()) context_.note(hint);
    if (operation.status == api::OperationStatus::kCompleted) return ExitCode::kOk;
    const bool is_ours = cancel_sent_ && operation.status == api::OperationStatus::kCancelled;
    return is_ours ? ExitCode::kInterrupted : ExitCode::kFailed;
  }

  const Context& context_;
  const OperationId& id_;
  FollowOptions options_;
  ProgressDisplay display_;
  std::unique_ptr<Pause> pause_;
  std::unique_ptr<client::ApiClient> poll_api_;
  Polled last_seen_;
  std::optional<Duration> away_since_;
  std::size_t warnings_shown_ = 0;
  bool cancel_announced_ = false, cancel_sent_ = false;
};

}  // namespace

Result<ExitCode> follow(const Context& context, const OperationId& id, const FollowOptions& options) {
  return Follower(context, id, options).run();
}

}  // namespace ktrdr::cli
