// Questions of several callers, asked of PostgreSQL in one message. While one caller waits for the answers to
// the questions that were there when it came, those of later callers gather; one of these asks them next.
// Under load this saves most of the waking up on both sides, what several ask travels once, and a lone
// question is asked at once.
//
// One message is one transaction: it begins after every question in it was asked, so each sees everything
// that was acknowledged before.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "database.h"
#include "ktrdr/core/synchronized.h"
#include "postgres_pool.h"

namespace ktrdr::storage {

// Safe from any thread.
class PostgresGathering {
 public:
  // So many messages are on their way at once, that the database has work while we read its last answers.
  static constexpr int kMostAsking = 2;

  // The pool is for this alone, and has a connection for each message.
  explicit PostgresGathering(PostgresPool& readers) : readers_(readers) {}

  // Nothing when the message failed, perhaps because of somebody else's question: then ask alone.
  std::optional<std::vector<Rows>> ask(const std::vector<Query>& queries);

 private:
  struct Question {
    explicit Question(const std::vector<Query>& asked) : queries(asked) {}

    void wait();
    void wake(bool over);

    const std::vector<Query>& queries;  // the caller's, who waits
    std::optional<std::vector<Rows>> answer;
    bool is_over = false;  // else, when woken, it is to ask for everybody
    bool is_woken = false;
    std::mutex mutex;
    std::condition_variable changed;
  };
  using Questions = std::vector<std::shared_ptr<Question>>;  // shared: whoever wakes it may be slower than it

  struct State {
    Questions waiting;
    int asking = 0;
  };

  bool may_ask(const std::shared_ptr<Question>& mine);
  void ask_for_everybody(const std::shared_ptr<Question>& mine);
  void let_the_next_ask();
  void answer(const Questions& batch);
  static std::vector<Questions> equal_ones(const Questions& batch);

  PostgresPool& readers_;
  Synchronized<State> state_;
};

}  // namespace ktrdr::storage
