// A scrape as a test reads it: a parser of the text format that is not the one that wrote it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ktrdr/metrics/registry.h"

namespace ktrdr::metrics::testing {

class Exposition {
 public:
  explicit Exposition(const std::string& text);

  // Names as in # TYPE: without _bucket, _sum and _count.
  std::set<std::string> families() const;
  std::string type_of(const std::string& family) const;

  // The sample of that name ("ktrdr_queue_seconds_count" too) with exactly these labels.
  std::optional<double> value(const std::string& name, const Labels& labels = {}) const;
  // Of all samples of that name that have these labels among others.
  double sum(const std::string& name, const Labels& labels = {}) const;
  // How many different sets of labels a family has.
  std::size_t series(const std::string& family) const;

  // What breaks the format or the conventions of names, a sentence each: what `promtool check metrics` looks
  // at, and that every family is described before its samples, once, and that buckets add up.
  std::vector<std::string> problems() const;

  struct Sample {
    std::string name;
    Labels labels;
    double value = 0;
  };
  const std::vector<Sample>& samples() const { return samples_; }

 private:
  struct Family {
    std::string type, help;
    std::size_t samples = 0;
  };
  void read_comment(const std::string& line);
  void read_sample(const std::string& line);
  std::string family_of(const std::string& sample) const;
  void check_buckets(const std::string& family, std::vector<std::string>& problems) const;

  std::map<std::string, Family> families_;
  std::vector<Sample> samples_;
  std::vector<std::string> broken_;
  std::string current_;
};

}  // namespace ktrdr::metrics::testing
