#include "problems.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

namespace ktrdr::strategy {
namespace {

constexpr std::size_t kMostProblemsShown = 100;

// Levenshtein, one row of the table at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

bool begins_or_ends_the_other(std::string_view a, std::string_view b) {
  constexpr std::size_t kFewestLetters = 3;
  const std::size_t shared = std::min(a.size(), b.size());
  if (shared < kFewestLetters) return false;
  return a.substr(0, shared) == b.substr(0, shared) ||
         a.substr(a.size() - shared) == b.substr(b.size() - shared);
}

}  // namespace

void Problems::invalid(int line, std::string_view path, std::string text) {
  found_.push_back({line, std::string(path), std::move(text), false});
}

void Problems::unsupported(int line, std::string_view path, std::string_view what, std::string_view can_do) {
  std::string text(what);
  text.append(" is valid in a v3 strategy but this version cannot do it yet; it can do: ").append(can_do);
  found_.push_back({line, std::string(path), std::move(text), true});
}

Error Problems::to_error() const {
  std::vector<Problem> sorted = found_;
  std::ranges::stable_sort(sorted, {}, &Problem::line);
  std::string message;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMostProblemsShown); ++i) {
    const Problem& problem = sorted[i];
    if (i > 0) message += '\n';
    message += "line " + std::to_string(problem.line) + ": ";
    if (!problem.path.empty()) message += problem.path + ": ";
    message += problem.text;
  }
  if (sorted.size() > kMostProblemsShown) {
    message += "\nand " + std::to_string(sorted.size() - kMostProblemsShown) + " more";
  }
  const bool only_unsupported = std::ranges::all_of(sorted, &Problem::is_unsupported);
  return {only_unsupported ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument, message};
}

std::string listed(const Words& words) {
  std::string text;
  for (const std::string_view word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

std::string_view nearest_word(std::string_view word, const Words& known) {
  constexpr std::size_t kLongestWordCompared = 64;  // longer ones are no typing mistake
  if (word.size() > kLongestWordCompared) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, (word.size() + 2) / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance =
        begins_or_ends_the_other(word, candidate) ? 1 : edit_distance(word, candidate);
    if (distance < best_distance && distance < word.size()) best = candidate, best_distance = distance;
  }
  return best;
}

std::string suggestion(std::string_view word, const Words& known) {
  const std::string_view nearest = nearest_word(word, known);
  return nearest.empty() ? ";" : "; did you mean " + in_quotes(nearest) + "?";
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMostBytes = 40;
  std::string result = "\"";
  for (const char c : text.substr(0, kMostBytes)) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  // Never end inside a UTF-8 sequence: the message must stay valid text.
  if (text.size() > kMostBytes) {
    while ((static_cast<unsigned char>(result.back()) & 0xC0) == 0x80) result.pop_back();
    if ((static_cast<unsigned char>(result.back()) & 0xC0) == 0xC0) result.pop_back();
    result += "...";
  }
  return result + '"';
}

std::string path_word(std::string_view key) {
  const std::string shown = in_quotes(key);
  const bool unchanged = !key.empty() && std::string_view(shown).substr(1, shown.size() - 2) == key;
  return unchanged ? std::string(key) : shown;
}

std::string number_text(double number) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return {buffer.data(), end};
}

}  // namespace ktrdr::strategy
