// The way between processes. A request is handled by a fiber of the process it reaches, so either side may be
// frozen or killed meanwhile; requests and answers are lost, delayed, and delivered a second time much later.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "ktrdr/core/result.h"
#include "world.h"

namespace ktrdr::simulator {

class Network {
 public:
  explicit Network(World& world) : world_(world), wire_(std::make_shared<Process>(Process{"network"})) {}

  // Calls `handle(life)` in the process that `node.life()` is now. Node::life() is a shared_ptr to something
  // with a `process`, null while it is down. kUnavailable: no answer came; whether the request did is open.
  template <class Node, class Handle>
  auto call(Node& node, Handle handle, bool is_seldom = false) -> decltype(handle(*node.life())) {
    using Answer = decltype(handle(*node.life()));
    const Faults& faults = world_.faults;
    const double more = is_seldom ? 4 : 1;
    if (world_.strikes(more * faults.late_copy, "a second copy of a request comes late"))
      copy_later(node, handle);
    if (world_.strikes(faults.lost_request, "request lost")) return no_answer<Answer>();
    travel();
    const auto slot = deliver<Answer>(node, handle);
    if (!slot) return Answer(Error(ErrorCode::kUnavailable, "Nobody listens there."));
    if (!world_.scheduler.wait(kTimeout, [&] { return slot->ended; })) world_.count("no answer in time");
    if (world_.strikes(more * faults.lost_answer, "answer lost")) return no_answer<Answer>();
    if (!slot->answer) return Answer(Error(ErrorCode::kUnavailable, "The connection broke."));
    travel();
    return *std::move(slot->answer);
  }

 private:
  static constexpr Duration kTimeout = std::chrono::seconds(5);

  template <class Answer>
  struct Slot {
    std::optional<Answer> answer;
    bool ended = false;
  };
  template <class Answer, class Node, class Handle>
  std::shared_ptr<Slot<Answer>> deliver(Node& node, Handle handle) {
    auto life = node.life();
    if (!life) return nullptr;
    auto slot = std::make_shared<Slot<Answer>>();
    // Goes with the fiber, also when the process is killed first.
    const std::shared_ptr<void> end(nullptr, [slot](void*) { slot->ended = true; });
    const ProcessPtr process = life->process;
    world_.scheduler.spawn(process, [life, handle, slot, end] { slot->answer = handle(*life); });
    return slot;
  }

  template <class Node, class Handle>
  void copy_later(Node& node, Handle handle) {
    using Answer = decltype(handle(*node.life()));
    world_.scheduler.spawn(wire_, [this, &node, handle] {
      world_.scheduler.sleep(world_.dice.duration(Duration(1), std::chrono::seconds(20)));
      deliver<Answer>(node, handle);
    });
  }

  template <class Answer>
  Answer no_answer() {
    // A refused connection is noticed at once, a silent one only in time.
    world_.scheduler.sleep(world_.dice.chance(0.5) ? Duration(1) : kTimeout);
    return Answer(Error(ErrorCode::kUnavailable, "No answer came."));
  }

  void travel() {
    const bool slow = world_.faults.on && world_.dice.chance(world_.faults.slow_network);
    if (slow) world_.count("slow network");
    world_.scheduler.sleep(slow ? world_.dice.duration(Duration(100), Duration(4000))
                                : world_.dice.duration(Duration(0), Duration(3)));
  }

  World& world_;
  const ProcessPtr wire_;
};

}  // namespace ktrdr::simulator
