#include "support/scrape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "ktrdr/client/http_client.h"

namespace ktrdr::system_test {
namespace {

using metrics::testing::Exposition;

constexpr const char* kCommonSection = "Every process";
constexpr auto kPatience = std::chrono::seconds(30);
constexpr auto kPause = std::chrono::milliseconds(50);

// "counter kind,outcome" by name.
using Descriptions = std::map<std::string, std::string>;

std::string joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// What stands in `backticks`.
std::set<std::string> code_words(const std::string& cell) {
  std::set<std::string> words;
  for (auto open = cell.find('`'); open != std::string::npos;) {
    const auto close = cell.find('`', open + 1);
    words.insert(cell.substr(open + 1, close - open - 1));
    open = cell.find('`', close + 1);
  }
  return words;
}

std::string trimmed(const std::string& cell) {
  const auto first = cell.find_first_not_of(' ');
  return first == std::string::npos ? "" : cell.substr(first, cell.find_last_not_of(' ') - first + 1);
}

Descriptions documented(const std::string& section) {
  Descriptions found;
  std::ifstream page(std::string(KTRDR_SOURCE_DIR) + "/docs/metrics.md");
  bool is_here = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) is_here = line == "## " + section;
    if (!is_here || !line.starts_with("| `")) continue;
    std::istringstream cells(line.substr(1));
    std::string name, kind, labels;
    std::getline(std::getline(std::getline(cells, name, '|'), kind, '|'), labels, '|');
    found[joined(code_words(name))] = trimmed(kind) + " " + joined(code_words(labels));
  }
  return found;
}

Descriptions exposed(const Exposition& scrape) {
  std::map<std::string, std::set<std::string>> labels;
  for (const std::string& family : scrape.families()) labels[family];
  for (const auto& sample : scrape.samples()) {
    auto family = labels.upper_bound(sample.name);
    do {
      --family;  // the longest name that it begins with: "..._bucket" is of "..."
    } while (!sample.name.starts_with(family->first));
    for (const auto& [label, value] : sample.labels) {
      if (label != "le") family->second.insert(label);
    }
  }
  Descriptions found;
  for (const auto& [family, names] : labels) found[family] = scrape.type_of(family) + " " + joined(names);
  return found;
}

std::string missing(const Descriptions& from, const Descriptions& in, const std::string& verb) {
  std::string text;
  for (const auto& [name, description] : in) {
    const auto other = from.find(name);
    if (other == from.end() || other->second != description)
      text += name + " (" + description + ") " + verb + ".\n";
  }
  return text;
}

}  // namespace

Exposition scrape(TestSystem& system, const std::string& url) {
  client::HttpClient http;
  const auto answer =
      http.request({.url = url + "/metrics", .headers = {{"Authorization", "Bearer " + system.token()}}});
  EXPECT_TRUE(answer.ok() && answer->status == 200) << url;
  Exposition scrape(answer.ok() ? answer->body : "");
  EXPECT_THAT(scrape.problems(), ::testing::IsEmpty());
  return scrape;
}

Exposition scrape_until(TestSystem& system, const std::string& url,
                        const std::function<bool(Exposition&)>& wanted) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    Exposition now = scrape(system, url);
    if (wanted(now)) return now;
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "The scrape of " << url << " did not become what was waited for.";
      return now;
    }
    std::this_thread::sleep_for(kPause);
  }
}

std::string difference_to_documentation(const Exposition& scrape, const std::string& section) {
  Descriptions described = documented(section);
  described.merge(documented(kCommonSection));
  const Descriptions seen = exposed(scrape);
  return missing(described, seen, "is exposed, but not in docs/metrics.md, \"" + section + "\"") +
         missing(seen, described, "is in docs/metrics.md, \"" + section + "\", but not exposed");
}

}  // namespace ktrdr::system_test
