// Somebody who has trainings done: starts them, looks at them, sometimes cancels one, resumes what failed or
// was cancelled, and compares what completed with the undisturbed run. One thread each.
#pragma once

#include <atomic>
#include <thread>

#include "book.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/checkpoints/checkpoint_store.h"
#include "recipes.h"
#include "score.h"
#include "way_in.h"

namespace ktrdr::chaos {

// All of it outlives the person.
struct World {
  const std::vector<Recipe>& recipes;
  const checkpoints::CheckpointStore& checkpoints;
  std::vector<std::string> urls;
  std::string token, market;
  Score& score;
  Book& book;
};

class Person {
 public:
  Person(World world, std::string name, std::uint64_t seed);
  ~Person();

  // While false nothing is started or cancelled; what is there is resumed until it completes.
  void set_busy(bool busy) { busy_ = busy; }

 private:
  struct Training {
    OperationId id;
    std::size_t recipe = 0;
    bool acknowledged = false;
    std::string resume_key;  // of the request that is under way
    std::string retried_as;  // the key of a retry that is under way
    Attempt attempt = 0;
    std::int64_t version = 0;
    std::optional<CheckpointRef> checkpoint;  // the newest that was seen
  };

  void live(std::stop_token stop);
  void look_after(Training& training);
  void start(Training& training);
  void hold_against_what_was_seen(Training& training, const api::Operation& operation);
  void verify_checkpoint(const Training& training, const api::Operation& operation);
  void finish(Training& training, const api::Operation& operation);
  void cancel(Training& training);
  void resume(Training& training);
  void retry(Training& training);
  std::optional<Reply> ask(const Question& question);
  Training new_training();

  World world_;
  const std::string name_;
  Random random_;
  WayIn way_in_;
  std::atomic<bool> busy_ = true;
  std::vector<Training> trainings_;
  int started_ = 0;
  std::jthread thread_;
};

// What of an accepted start or resume must be the same when it is asked again.
std::string essence_of(const nlohmann::json& body);

}  // namespace ktrdr::chaos
