// What the chaos suite trains: a few small trainings, each first done once without any disturbance.
#pragma once

#include <string>
#include <vector>

#include "support/test_system.h"

namespace ktrdr::chaos {

// What must be equal whatever happened on the way.
struct Outcome {
  std::string model_sha256;  // that of the file
  std::string result;        // without its path
  std::string metrics;       // the history that the server serves
  std::int64_t epochs = 0;

  bool operator==(const Outcome&) const = default;
};

struct Recipe {
  std::string name;
  system_test::TrainingWish wish;
  Outcome undisturbed;
};

// Each trained to its end, one after the other, by one server with one worker and SQLite.
std::vector<Recipe> trained_recipes();

void write_market(const std::filesystem::path& folder);

// Of a completed operation. The model's own bytes are read, not what the row says of them.
Outcome outcome_of(const api::Operation& operation);

}  // namespace ktrdr::chaos
