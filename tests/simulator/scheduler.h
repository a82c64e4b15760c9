// One seeded scheduler for everything that is a thread or a process in production.
//
// What would be a thread is a fiber: a function with a stack of its own that runs until it waits. Only one
// runs at a time; which of those that can run comes next is thrown by the dice, and time stands still until
// none can. So the real, blocking code runs here in any order, and in the same order for the same seed.
//
// A process is a group of fibers that are killed or frozen together. A killed fiber is unwound by an
// exception from the call it waits in, so that its memory goes as if the process had ended, and nothing else
// happens.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dice.h"
#include "ktrdr/core/clock.h"

namespace ktrdr::simulator {

struct Process {
  std::string name;
  bool killed = false;
  bool frozen = false;
};
using ProcessPtr = std::shared_ptr<Process>;

class Scheduler {
 public:
  explicit Scheduler(Dice& dice) : dice_(dice) {}
  ~Scheduler() { kill_all(); }
  void kill_all();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Duration now() const { return now_; }
  std::int64_t steps() const { return steps_; }

  void spawn(ProcessPtr process, std::function<void()> body);

  // ---- from a fiber ----
  void sleep(Duration time);
  // Until ready() or `at_most` has passed. Answers ready().
  bool wait(Duration at_most, const std::function<bool()>& ready);
  // The same for a destructor: it returns, not ready, when the process is killed. What follows throws.
  bool wait_without_unwinding(Duration at_most, const std::function<bool()>& ready);
  // The process that is running; null outside of fibers.
  Process* running() const;

  // ---- from outside ----
  // Runs until `enough()`, or until the moment has come.
  void run(Duration until, const std::function<bool()>& enough);

 private:
  struct Fiber {
    ProcessPtr process;
    std::function<void()> body;
    ucontext_t beginning{};  // only for the first time; jumps are ten times as fast as swapcontext()
    jmp_buf place{};
    void* stack = nullptr;
    Duration wakes_at{0};
    const std::function<bool()>* ready = nullptr;
    bool started = false, ended = false;
    void* sanitizer = nullptr;
  };
  struct Killed {};

  static void enter();
  void begin(Fiber& fiber);
  void resume(Fiber& fiber);
  void give_way();
  bool can_run(const Fiber& fiber) const;
  Fiber* choose();
  bool advance(Duration until);
  void unwind_killed();
  void remove_ended();

  Dice& dice_;
  Duration now_{1'000'000};
  std::int64_t steps_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> candidates_;
  Fiber* current_ = nullptr;
  jmp_buf main_{};
  void* main_sanitizer_ = nullptr;  // what the sanitizers want to know of the stack that run() was called on
  const void* main_stack_ = nullptr;
  std::size_t main_stack_size_ = 0;
};

}  // namespace ktrdr::simulator
