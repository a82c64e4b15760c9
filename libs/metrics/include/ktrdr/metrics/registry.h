// What a process counts, as Prometheus reads it. All names begin with ktrdr_ (or process_), units are seconds
// and bytes, counters end in _total.
//
//   metrics::Registry registry;
//   metrics::Counter refused = registry.counter({"ktrdr_refused_total", "Requests refused."}, {{"why",
//   "stale"}}); refused.add();             // 13 ns, from any thread registry.text();           // what GET
//   /metrics answers
//
// A metric is there, with 0, from the moment it is asked for: ask for all of them at the start. Asking for
// the same name and labels again gives the same metric; another kind under a name that is taken is a bug
// (CHECK).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace ktrdr::metrics {

using Labels = std::map<std::string, std::string>;
using Bounds = std::vector<double>;  // upper ones of a histogram's buckets, growing; +Inf is added

struct Name {
  std::string name;
  std::string help;  // one sentence for an operator
};

// Handles: small, copied freely, valid as long as their registry, safe from any thread.

class Counter {
 public:
  void add(double amount = 1);  // a negative amount changes nothing
  double value() const;

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  void set(double value);
  double value() const;

 private:
  friend class Registry;
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  void observe(double value);

 private:
  friend class Registry;
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  prometheus::Histogram* histogram_;
};

// Owned by whoever wires the process. Safe to call from any thread.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter counter(const Name& name, const Labels& labels = {});
  Gauge gauge(const Name& name, const Labels& labels = {});
  Histogram histogram(const Name& name, const Bounds& bounds, const Labels& labels = {});

  // Called by text(), by one thread at a time, to bring up to date what is only looked at then. Must be
  // quick: a scrape waits for it. Everything it uses outlives the registry's last scrape.
  void before_each_scrape(std::function<void()> refresh);

  // The text exposition format 0.0.4, kTextFormat.
  std::string text();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

inline constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

// From a millisecond to ten seconds: requests, and calls of a store.
Bounds latency_bounds();
// From ten milliseconds to a day: whatever people wait for.
Bounds waiting_bounds();

}  // namespace ktrdr::metrics
