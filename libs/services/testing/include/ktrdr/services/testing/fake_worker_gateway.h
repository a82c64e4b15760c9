// Workers that answer what a test tells them to, and remember what they were asked.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/services/worker_gateway.h"

namespace ktrdr::services::testing {

class FakeWorkerGateway final : public WorkerGateway {
 public:
  // The next answers, in order; when there are none left, a worker takes the work.
  void will_answer(Error error) { state_.lock()->answers.push_back(std::move(error)); }

  // What a worker does while it is asked to start or resume: to claim, for instance.
  void when_asked(std::function<void()> action) { state_.lock()->action = std::move(action); }

  Result<void> start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) override {
    return note("start " + request.operation_id + " at " + worker.worker_id);
  }
  Result<void> resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) override {
    return note("resume " + request.operation_id + " at " + worker.worker_id);
  }
  Result<void> cancel(const api::WorkerInfo& worker, const OperationId& operation) override {
    return note("cancel " + operation.value + " at " + worker.worker_id);
  }

  std::vector<std::string> calls() { return state_.lock()->calls; }

 private:
  struct State {
    std::deque<Error> answers;
    std::vector<std::string> calls;
    std::function<void()> action;
  };

  Result<void> note(std::string call) {
    const auto action = state_.lock()->action;
    if (action && !call.starts_with("cancel")) action();
    auto state = state_.lock();
    state->calls.push_back(std::move(call));
    if (state->answers.empty()) return {};
    const Error answer = state->answers.front();
    state->answers.pop_front();
    return answer;
  }

  Synchronized<State> state_;
};

}  // namespace ktrdr::services::testing
