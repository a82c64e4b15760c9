#include "scheduler.h"

#include <sys/mman.h>

#include <algorithm>
#include <exception>

#include "ktrdr/core/check.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace ktrdr::simulator {
namespace {

constexpr std::size_t kStack = 512 * 1024;  // touched as far as it is used
constexpr std::size_t kGuard = 4096;

Scheduler* scheduling = nullptr;  // for enter(), which takes no argument

// Stacks are used again by later simulations; a page that can't be touched ends each.
class Stacks {
 public:
  ~Stacks() {
    for (void* stack : free_) ::munmap(stack, kStack);
  }
  void* take() {
    if (!free_.empty()) {
      void* stack = free_.back();
      free_.pop_back();
      return stack;
    }
    void* stack = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED && ::mprotect(stack, kGuard, PROT_NONE) == 0, "there is room for a stack");
    return stack;
  }
  void give(void* stack) { free_.push_back(stack); }

 private:
  std::vector<void*> free_;
};

Stacks& stacks() {
  static Stacks all;
  return all;
}

}  // namespace

void Scheduler::kill_all() {
  for (const auto& fiber : fibers_) fiber->process->killed = true;
  unwind_killed();
}

void Scheduler::spawn(ProcessPtr process, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->process = std::move(process);
  fiber->body = std::move(body);
  fiber->wakes_at = now_;
  fibers_.push_back(std::move(fiber));
}

Process* Scheduler::running() const { return current_ ? current_->process.get() : nullptr; }

// ---- from a fiber ----

void Scheduler::sleep(Duration time) {
  static const std::function<bool()> never = [] { return false; };
  wait(time, never);
}

bool Scheduler::wait(Duration at_most, const std::function<bool()>& ready) {
  const bool is_ready = wait_without_unwinding(at_most, ready);
  if (current_->process->killed && std::uncaught_exceptions() == 0) throw Killed();
  return is_ready;
}

bool Scheduler::wait_without_unwinding(Duration at_most, const std::function<bool()>& ready) {
  CHECK(current_, "only a fiber can wait");
  if (current_->process->killed) return ready();
  current_->wakes_at = now_ + at_most;
  current_->ready = &ready;
  give_way();
  current_->ready = nullptr;
  return ready();
}

// ---- switching ----

void Scheduler::enter() {
  Scheduler& self = *scheduling;
  Fiber& fiber = *self.current_;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self.main_stack_, &self.main_stack_size_);
#endif
  try {
    fiber.body();
  } catch (const Killed&) {
  }
  fiber.ended = true;
  self.give_way();
}

void Scheduler::begin(Fiber& fiber) {
  fiber.started = true;
  fiber.stack = stacks().take();
  ::getcontext(&fiber.beginning);
  fiber.beginning.uc_stack.ss_sp = static_cast<char*>(fiber.stack) + kGuard;
  fiber.beginning.uc_stack.ss_size = kStack - kGuard;
  fiber.beginning.uc_link = nullptr;
  ::makecontext(&fiber.beginning, &Scheduler::enter, 0);
#if defined(__SANITIZE_THREAD__)
  fiber.sanitizer = __tsan_create_fiber(0);
#endif
}

void Scheduler::resume(Fiber& fiber) {
  const bool is_first_time = !fiber.started;
  if (is_first_time) begin(fiber);
  current_ = &fiber;
  scheduling = this;
  ++steps_;
#if defined(__SANITIZE_THREAD__)
  main_sanitizer_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber.sanitizer, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&main_sanitizer_, fiber.beginning.uc_stack.ss_sp,
                                 fiber.beginning.uc_stack.ss_size);
#endif
  if (_setjmp(main_) == 0) {
    if (is_first_time) ::setcontext(&fiber.beginning);
    else _longjmp(fiber.place, 1);
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(main_sanitizer_, nullptr, nullptr);
#endif
  current_ = nullptr;
}

void Scheduler::give_way() {
  Fiber& fiber = *current_;
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(main_sanitizer_, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fiber.ended ? nullptr : &fiber.sanitizer, main_stack_, main_stack_size_);
#endif
  if (_setjmp(fiber.place) == 0) _longjmp(main_, 1);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.sanitizer, nullptr, nullptr);
#endif
}

// ---- the loop ----

bool Scheduler::can_run(const Fiber& fiber) const {
  if (fiber.process->frozen) return false;
  return fiber.wakes_at <= now_ || (fiber.ready && (*fiber.ready)());
}

Scheduler::Fiber* Scheduler::choose() {
  candidates_.clear();
  for (const auto& fiber : fibers_) {
    if (can_run(*fiber)) candidates_.push_back(fiber.get());
  }
  return candidates_.empty() ? nullptr : dice_.pick(candidates_);
}

// False: nothing will happen until then.
bool Scheduler::advance(Duration until) {
  Duration next = until;
  for (const auto& fiber : fibers_) {
    if (!fiber->process->frozen) next = std::min(next, fiber->wakes_at);
  }
  now_ = std::max(now_, next);
  return now_ < until;
}

void Scheduler::run(Duration until, const std::function<bool()>& enough) {
  while (!enough()) {
    unwind_killed();
    if (Fiber* next = choose()) resume(*next);
    else if (!advance(until)) return;
    remove_ended();
  }
}

void Scheduler::unwind_killed() {
  for (bool found = true; found;) {
    found = false;
    for (std::size_t i = 0; i < fibers_.size();
         ++i) {  // a fiber that is unwound may spawn none, but look anew
      Fiber& fiber = *fibers_[i];
      if (!fiber.process->killed || fiber.ended) continue;
      found = true;
      if (fiber.started) resume(fiber);
      else fiber.ended = true;
      CHECK(fiber.ended, "a killed fiber waits for nothing");
    }
    remove_ended();
  }
}

void Scheduler::remove_ended() {
  for (std::size_t i = 0; i < fibers_.size();) {
    if (!fibers_[i]->ended) {
      ++i;
      continue;
    }
    const std::unique_ptr<Fiber> ended = std::move(fibers_[i]);
    fibers_[i] = std::move(fibers_.back());
    fibers_.pop_back();
    if (ended->stack) stacks().give(ended->stack);
#if defined(__SANITIZE_THREAD__)
    if (ended->sanitizer) __tsan_destroy_fiber(ended->sanitizer);
#endif
  }
}

}  // namespace ktrdr::simulator
