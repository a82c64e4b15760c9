// All that is wrong with one file, collected while it is read, so that a person mends it in one go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/error.h"

namespace ktrdr::strategy {

class Problems {
 public:
  // `line` counts from 1; `path` is like "training.epochs"; `text` says what would be right.
  void invalid(int line, std::string_view path, std::string text);
  // The same for what is valid v3 but not built here; `can_do` lists what is.
  void unsupported(int line, std::string_view path, std::string_view what, std::string_view can_do);

  bool empty() const { return found_.empty(); }
  Error to_error() const;  // one line per problem, in file order

 private:
  struct Problem {
    int line;
    std::string path;
    std::string text;
    bool is_unsupported;
  };
  std::vector<Problem> found_;
};

using Words = std::vector<std::string_view>;

std::string listed(const Words& words);  // "a, b, c"

// The word that was probably meant (edit distance, or one is the beginning or end of the other); empty when
// none is near.
std::string_view nearest_word(std::string_view word, const Words& known);

// `; did you mean "epochs"?`, or ";" when nothing is near.
std::string suggestion(std::string_view word, const Words& known);

// In quotes, at most 40 bytes, control characters replaced: fit for a message.
std::string in_quotes(std::string_view text);

// `key` as a part of a path: itself, or in_quotes() where it is long or has control characters.
std::string path_word(std::string_view key);

// The shortest text that reads back as the same number.
std::string number_text(double number);

}  // namespace ktrdr::strategy
