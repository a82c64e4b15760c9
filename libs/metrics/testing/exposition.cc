#include "ktrdr/metrics/testing/exposition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>
#include <sstream>

namespace ktrdr::metrics::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool ends_with_one_of(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](const char* end) { return name.ends_with(end); });
}

// Prometheus writes +Inf and Nan in its own way, which strtod reads as well.
std::optional<double> number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nullopt : std::optional(value);
}

std::optional<Labels> labels_of(std::string text) {
  static const std::regex label(R"re(^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$))re");
  Labels labels;
  while (!text.empty()) {
    std::smatch match;
    if (!std::regex_search(text, match, label)) return std::nullopt;
    if (!labels.emplace(match[1], match[2]).second) return std::nullopt;
    const std::string rest = match.suffix();
    if (match[3] == "," && rest.empty()) return std::nullopt;
    text = rest;
  }
  return labels;
}

Labels without_bound(Labels labels) {
  labels.erase("le");
  return labels;
}

}  // namespace

Exposition::Exposition(const std::string& text) {
  if (!text.empty() && text.back() != '\n') broken_.push_back("The last line does not end.");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    line.front() == '#' ? read_comment(line) : read_sample(line);
  }
}

void Exposition::read_comment(const std::string& line) {
  static const std::regex comment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  std::smatch match;
  if (!std::regex_match(line, match, comment)) return broken_.push_back("Not a comment: " + line);
  Family& family = families_[match[2]];
  std::string& said = match[1] == "TYPE" ? family.type : family.help;
  if (!said.empty()) broken_.push_back("Said twice: " + line);
  if (family.samples > 0) broken_.push_back("Said after its samples: " + line);
  said = match[3];
  current_ = match[2];
}

void Exposition::read_sample(const std::string& line) {
  static const std::regex sample(R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+))");
  std::smatch match;
  if (!std::regex_match(line, match, sample)) return broken_.push_back("Not a sample: " + line);
  const auto labels = labels_of(match[2]);
  const auto value = number_of(match[3]);
  if (!labels || !value) return broken_.push_back("Not a sample: " + line);
  if (this->value(match[1], *labels)) broken_.push_back("A sample is there twice: " + line);
  samples_.push_back({match[1], *labels, *value});
  const std::string family = family_of(match[1]);
  if (family.empty() || family != current_) return broken_.push_back("Not below its family: " + line);
  ++families_[family].samples;
}

std::string Exposition::family_of(const std::string& sample) const {
  if (families_.contains(sample) && families_.at(sample).type != "histogram") return sample;
  for (const std::string ending : {"_bucket", "_sum", "_count"}) {
    if (!sample.ends_with(ending)) continue;
    const auto family = families_.find(sample.substr(0, sample.size() - ending.size()));
    if (family != families_.end() && family->second.type == "histogram") return family->first;
  }
  return "";
}

std::set<std::string> Exposition::families() const {
  std::set<std::string> names;
  for (const auto& [name, family] : families_) names.insert(name);
  return names;
}

std::string Exposition::type_of(const std::string& family) const {
  const auto found = families_.find(family);
  return found == families_.end() ? "" : found->second.type;
}

std::optional<double> Exposition::value(const std::string& name, const Labels& labels) const {
  for (const Sample& sample : samples_) {
    if (sample.name == name && sample.labels == labels) return sample.value;
  }
  return std::nullopt;
}

double Exposition::sum(const std::string& name, const Labels& labels) const {
  double sum = 0;
  for (const Sample& sample : samples_) {
    const bool matches =
        std::includes(sample.labels.begin(), sample.labels.end(), labels.begin(), labels.end());
    if (sample.name == name && matches) sum += sample.value;
  }
  return sum;
}

std::size_t Exposition::series(const std::string& family) const {
  std::set<Labels> seen;
  for (const Sample& sample : samples_) {
    if (family_of(sample.name) == family) seen.insert(without_bound(sample.labels));
  }
  return seen.size();
}

std::vector<std::string> Exposition::problems() const {
  static const std::regex other_units(
      ".*_(ms|milliseconds|us|microseconds|ns|nanoseconds|minutes|hours|kib|kb|mb|mib|gb|percent)(_.*)?");
  std::vector<std::string> problems = broken_;
  for (const auto& [name, family] : families_) {
    const auto wrong = [&problems, name = name](const std::string& what) {
      problems.push_back(name + " " + what);
    };
    const bool is_counter = family.type == "counter";
    if (family.help.empty()) wrong("has no help.");
    if (!family.help.empty() && family.help.back() != '.') wrong("has help that is no sentence.");
    if (!is_counter && family.type != "gauge" && family.type != "histogram")
      wrong("has no type that we use.");
    if (is_counter != name.ends_with("_total")) wrong("must end in _total exactly when it is a counter.");
    if (ends_with_one_of(name, {"_count", "_sum", "_bucket"}))
      wrong("has the ending of a histogram's sample.");
    if (std::regex_match(name, other_units)) wrong("has a unit that is not a base unit.");
    if (!name.starts_with("ktrdr_") && !name.starts_with("process_")) wrong("does not say whose it is.");
    if (family.samples == 0) wrong("has no sample.");
    if (family.type == "histogram") check_buckets(name, problems);
  }
  return problems;
}

void Exposition::check_buckets(const std::string& family, std::vector<std::string>& problems) const {
  std::map<Labels, std::map<double, double>> buckets;
  for (const Sample& sample : samples_) {
    if (sample.name != family + "_bucket") continue;
    const auto bound = sample.labels.find("le");
    if (bound == sample.labels.end()) return problems.push_back(family + " has a bucket without a bound.");
    buckets[without_bound(sample.labels)][number_of(bound->second).value_or(NAN)] = sample.value;
  }
  for (const auto& [labels, counts] : buckets) {
    const bool grows = std::is_sorted(counts.begin(), counts.end(),
                                      [](const auto& a, const auto& b) { return a.second < b.second; });
    if (!grows) problems.push_back(family + " has buckets that don't add up.");
    const bool is_whole = counts.contains(kInfinity) && value(family + "_sum", labels) &&
                          value(family + "_count", labels) == counts.at(kInfinity);
    if (!is_whole) problems.push_back(family + " has a histogram that is not whole.");
  }
}

}  // namespace ktrdr::metrics::testing
