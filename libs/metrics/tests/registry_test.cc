#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/metrics/process_metrics.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/metrics/testing/exposition.h"

namespace ktrdr::metrics {
namespace {

using ::testing::ElementsAre;
using testing::Exposition;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Registry, CountersGrowAndGaugesAreSet) {
  Registry registry;
  Counter counter = registry.counter({"ktrdr_things_total", "Things."}, {{"kind", "a"}});
  Gauge gauge = registry.gauge({"ktrdr_level", "A level."});
  counter.add();
  counter.add(2.5);
  counter.add(-7);
  gauge.set(4);
  gauge.set(-1);
  const Exposition scrape(registry.text());
  EXPECT_EQ(scrape.value("ktrdr_things_total", {{"kind", "a"}}), 3.5);
  EXPECT_EQ(scrape.value("ktrdr_level"), -1);
  EXPECT_EQ(scrape.type_of("ktrdr_things_total"), "counter");
  EXPECT_EQ(scrape.type_of("ktrdr_level"), "gauge");
  EXPECT_THAT(scrape.problems(), IsEmpty());
}

TEST(Registry, AMetricIsThereBeforeAnythingHappens) {
  Registry registry;
  registry.counter({"ktrdr_things_total", "Things."}, {{"kind", "a"}});
  registry.histogram({"ktrdr_wait_seconds", "Waiting."}, {0.1, 1});
  const Exposition scrape(registry.text());
  EXPECT_EQ(scrape.value("ktrdr_things_total", {{"kind", "a"}}), 0);
  EXPECT_EQ(scrape.value("ktrdr_wait_seconds_count"), 0);
}

TEST(Registry, AskingAgainGivesTheSameMetric) {
  Registry registry;
  const Name name{"ktrdr_things_total", "Things."};
  registry.counter(name, {{"kind", "a"}}).add(1);
  registry.counter(name, {{"kind", "a"}}).add(1);
  registry.counter(name, {{"kind", "b"}}).add(1);
  const Exposition scrape(registry.text());
  EXPECT_EQ(scrape.value("ktrdr_things_total", {{"kind", "a"}}), 2);
  EXPECT_EQ(scrape.value("ktrdr_things_total", {{"kind", "b"}}), 1);
  EXPECT_EQ(scrape.series("ktrdr_things_total"), 2u);
}

TEST(Registry, AHistogramHasWhatFellIntoItsBuckets) {
  Registry registry;
  Histogram waits = registry.histogram({"ktrdr_wait_seconds", "Waiting."}, {0.1, 1});
  for (const double seconds : {0.05, 0.1, 0.5, 3.0}) waits.observe(seconds);
  const Exposition scrape(registry.text());
  EXPECT_EQ(scrape.value("ktrdr_wait_seconds_bucket", {{"le", "0.1"}}), 2);
  EXPECT_EQ(scrape.value("ktrdr_wait_seconds_bucket", {{"le", "1"}}), 3);
  EXPECT_EQ(scrape.value("ktrdr_wait_seconds_bucket", {{"le", "+Inf"}}), 4);
  EXPECT_DOUBLE_EQ(*scrape.value("ktrdr_wait_seconds_sum"), 3.65);
  EXPECT_THAT(scrape.problems(), IsEmpty());
}

TEST(Registry, CountsOfManyThreadsAreNotLost) {
  Registry registry;
  Counter counter = registry.counter({"ktrdr_things_total", "Things."});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([counter]() mutable {
        for (int n = 0; n < 10'000; ++n) counter.add();
      });
    }
  }
  EXPECT_EQ(counter.value(), 40'000);
}

TEST(Registry, ALabelsValueCanNotForgeALine) {
  Registry registry;
  registry.counter({"ktrdr_things_total", "Things."}, {{"kind", "a\"} 7\nktrdr_level 9\\"}});
  const Exposition scrape(registry.text());
  EXPECT_THAT(scrape.problems(), IsEmpty());
  EXPECT_THAT(scrape.families(), ElementsAre("ktrdr_things_total"));
}

TEST(Registry, WhatIsOnlyLookedAtIsBroughtUpToDateBeforeAScrape) {
  Registry registry;
  Gauge level = registry.gauge({"ktrdr_level", "A level."});
  registry.before_each_scrape([level]() mutable { level.set(level.value() + 1); });
  registry.text();
  EXPECT_EQ(Exposition(registry.text()).value("ktrdr_level"), 2);
}

TEST(RegistryDeathTest, ATakenOrAWrongNameIsABug) {
  Registry registry;
  registry.counter({"ktrdr_things_total", "Things."});
  EXPECT_DEATH(registry.gauge({"ktrdr_things_total", "Things."}), "ktrdr_things_total");
  EXPECT_DEATH(registry.counter({"ktrdr-things", "Things."}), "ktrdr-things");
}

TEST(ProcessMetrics, SayWhoItIsAndWhatItUses) {
  Registry registry;
  const ktrdr::testing::ManualClock clock;
  add_process_metrics(registry, clock, {.name = "test", .version = "1.2.3"});
  const Exposition scrape(registry.text());
  EXPECT_THAT(scrape.problems(), IsEmpty());
  EXPECT_EQ(scrape.value("ktrdr_build_info", {{"program", "test"}, {"version", "1.2.3"}}), 1);
  EXPECT_EQ(scrape.value("process_start_time_seconds"), static_cast<double>(clock.wall_ms()) / 1000);
  EXPECT_GT(scrape.value("process_resident_memory_bytes"), 100'000);
  EXPECT_GE(scrape.value("process_open_fds"), 3);
  EXPECT_GE(scrape.value("process_max_fds"), scrape.value("process_open_fds"));
  const double before = scrape.value("process_cpu_seconds_total").value_or(-1);
  EXPECT_GT(before, 0);
  EXPECT_GE(Exposition(registry.text()).value("process_cpu_seconds_total"), before);
}

TEST(ProcessMetrics, FreeSpaceIsNaNWhereItIsNotKnown) {
  const ktrdr::testing::TemporaryFolder folder;
  Registry registry;
  add_free_disk_space(registry, "data", [&] { return free_bytes_of(folder.path()); });
  add_free_disk_space(registry, "nowhere", [&] { return free_bytes_of(folder.path() / "not-there"); });
  const Exposition scrape(registry.text());
  EXPECT_GT(scrape.value("ktrdr_disk_free_bytes", {{"place", "data"}}), 0);
  EXPECT_TRUE(std::isnan(scrape.value("ktrdr_disk_free_bytes", {{"place", "nowhere"}}).value_or(0)));
  EXPECT_THAT(scrape.problems(), IsEmpty());
}

// ---- the reader of the tests ----

// A whole family with this sample.
std::string family(const std::string& name, const std::string& type, const std::string& samples) {
  return "# HELP " + name + " Help.\n# TYPE " + name + " " + type + "\n" + samples;
}

TEST(ExpositionOfTests, FindsWhatBreaksTheRules) {
  const std::string good = family("ktrdr_a_total", "counter", "ktrdr_a_total{x=\"1\",y=\"a\\\"b\"} 3\n");
  EXPECT_THAT(Exposition(good).problems(), IsEmpty());
  const std::vector<std::pair<std::string, std::string>> bad = {
      {good + "ktrdr_a_total{x=\"1\",y=\"a\\\"b\"} 3\n", "there twice"},
      {"ktrdr_a_total 3\n", "Not below its family"},
      {family("ktrdr_a", "counter", "ktrdr_a 3\n"), "_total"},
      {family("ktrdr_a_total", "gauge", "ktrdr_a_total 3\n"), "_total"},
      {family("ktrdr_a_ms", "gauge", "ktrdr_a_ms 3\n"), "base unit"},
      {family("ktrdr_ms_a", "gauge", "ktrdr_ms_a 3\n"), "base unit"},
      {family("other_a", "gauge", "other_a 3\n"), "whose it is"},
      {family("ktrdr_a_count", "gauge", "ktrdr_a_count 3\n"), "ending of a histogram"},
      {family("ktrdr_a", "gauge", ""), "no sample"},
      {family("ktrdr_a", "gauge", "ktrdr_a{x=1} 3\n"), "Not a sample"},
      {family("ktrdr_a", "gauge", "ktrdr_a{x=\"1\",} 3\n"), "Not a sample"},
      {family("ktrdr_a", "gauge", "ktrdr_a three\n"), "Not a sample"},
      {family("ktrdr_a", "gauge", "ktrdr_a 3"), "does not end"},
      {"# TYPE ktrdr_a gauge\nktrdr_a 3\n", "no help"},
      {good + good, "Said twice"},
      {family("ktrdr_a", "histogram",
              "ktrdr_a_bucket{le=\"1\"} 2\nktrdr_a_bucket{le=\"+Inf\"} 1\nktrdr_a_sum 1\nktrdr_a_count 1\n"),
       "add up"},
      {family("ktrdr_a", "histogram", "ktrdr_a_bucket{le=\"1\"} 1\nktrdr_a_sum 1\nktrdr_a_count 1\n"),
       "not whole"},
  };
  for (const auto& [text, problem] : bad) {
    const auto problems = Exposition(text).problems();
    EXPECT_THAT(problems, ::testing::Contains(HasSubstr(problem))) << text;
  }
}

TEST(ExpositionOfTests, SumsOverTheLabelsThatAreNotNamed) {
  const Exposition scrape(family("ktrdr_a", "gauge",
                                 "ktrdr_a{x=\"1\",y=\"2\"} 3\nktrdr_a{x=\"1\",y=\"3\"} 4\n"
                                 "ktrdr_a{x=\"2\",y=\"3\"} 8\n"));
  EXPECT_EQ(scrape.sum("ktrdr_a"), 15);
  EXPECT_EQ(scrape.sum("ktrdr_a", {{"x", "1"}}), 7);
  EXPECT_EQ(scrape.value("ktrdr_a", {{"x", "1"}}), std::nullopt);
}

}  // namespace
}  // namespace ktrdr::metrics
