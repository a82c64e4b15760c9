#include "ktrdr/metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <exception>

#include "ktrdr/core/check.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::metrics {
namespace {

// The library throws where a name has characters that Prometheus does not know, or is taken by another kind.
template <class Metric, class Builder, class... More>
Metric& made(Builder builder, prometheus::Registry& registry, const Name& name, const Labels& labels,
             More... more) {
  try {
    return builder.Name(name.name).Help(name.help).Register(registry).Add(labels, more...);
  } catch (const std::exception& wrong) {
    CHECK(false, (name.name + ": " + wrong.what()).c_str());
  }
}

}  // namespace

void Counter::add(double amount) { counter_->Increment(amount); }
double Counter::value() const { return counter_->Value(); }
void Gauge::set(double value) { gauge_->Set(value); }
double Gauge::value() const { return gauge_->Value(); }
void Histogram::observe(double value) { histogram_->Observe(value); }

struct Registry::Parts {
  prometheus::Registry registry;
  Synchronized<std::vector<std::function<void()>>> refreshes;
};

Registry::Registry() : parts_(std::make_unique<Parts>()) {}
Registry::~Registry() = default;

Counter Registry::counter(const Name& name, const Labels& labels) {
  return Counter(made<prometheus::Counter>(prometheus::BuildCounter(), parts_->registry, name, labels));
}

Gauge Registry::gauge(const Name& name, const Labels& labels) {
  return Gauge(made<prometheus::Gauge>(prometheus::BuildGauge(), parts_->registry, name, labels));
}

Histogram Registry::histogram(const Name& name, const Bounds& bounds, const Labels& labels) {
  return Histogram(
      made<prometheus::Histogram>(prometheus::BuildHistogram(), parts_->registry, name, labels, bounds));
}

void Registry::before_each_scrape(std::function<void()> refresh) {
  parts_->refreshes.lock()->push_back(std::move(refresh));
}

std::string Registry::text() {
  {
    auto refreshes = parts_->refreshes.lock();  // one scrape at a time: some add what is new since the last
    for (const auto& refresh : *refreshes) refresh();
  }
  return prometheus::TextSerializer().Serialize(parts_->registry.Collect());
}

Bounds latency_bounds() { return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}; }

Bounds waiting_bounds() { return {0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14'400, 86'400}; }

}  // namespace ktrdr::metrics
