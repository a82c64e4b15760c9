#include "ktrdr/http/router.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "ktrdr/core/check.h"

namespace ktrdr::http {
namespace {

using Segments = std::vector<std::string>;

bool is_capture(const std::string& segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

std::string capture_name(const std::string& segment) { return segment.substr(1, segment.size() - 2); }

Segments split_pattern(std::string_view pattern) {
  CHECK(pattern.starts_with('/'), "a route's pattern starts with a slash");
  Segments segments;
  for (std::size_t start = 1; start <= pattern.size();) {
    const std::size_t end = std::min(pattern.find('/', start), pattern.size());
    segments.emplace_back(pattern.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

bool matches(const Segments& pattern, const Segments& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                    [](const std::string& expected, const std::string& actual) {
                      return is_capture(expected) ? !actual.empty() : expected == actual;
                    });
}

bool same_shape(const Segments& a, const Segments& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const std::string& left, const std::string& right) {
                      return is_capture(left) ? is_capture(right) : left == right;
                    });
}

// Both match the same path, so they differ only in which segments are captures.
bool is_more_specific(const Segments& a, const Segments& b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](const std::string& left, const std::string& right) {
                                        return !is_capture(left) && is_capture(right);
                                      });
}

StringMap captured(const Segments& pattern, const Segments& path) {
  StringMap parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_capture(pattern[i])) parameters.emplace(capture_name(pattern[i]), path[i]);
  }
  return parameters;
}

void check_handler(const Handler& handler) {
  CHECK(std::visit([](const auto& function) { return static_cast<bool>(function); }, handler),
        "every route has a handler");
}

}  // namespace

Router::Router(std::vector<Route> routes) {
  for (Route& route : routes) {
    Entry entry{std::move(route), {}};
    entry.route.number = entries_.size();
    entry.segments = split_pattern(entry.route.pattern);
    check_handler(entry.route.handler);
    const auto captures = std::count_if(entry.segments.begin(), entry.segments.end(), is_capture);
    CHECK(captured(entry.segments, entry.segments).size() == static_cast<std::size_t>(captures),
          "a pattern names each capture once");
    const auto is_same = [&entry](const Entry& other) {
      return other.route.method == entry.route.method && same_shape(other.segments, entry.segments);
    };
    CHECK(std::none_of(entries_.begin(), entries_.end(), is_same), "a method and path have one handler");
    entries_.push_back(std::move(entry));
  }
}

RouteMatch Router::find(Method method, const std::vector<std::string>& segments) const {
  RouteMatch match;
  const Entry* best = nullptr;
  for (const Entry& entry : entries_) {
    if (!matches(entry.segments, segments)) continue;
    match.allowed.insert(entry.route.method);
    if (entry.route.method != method) continue;
    if (best == nullptr || is_more_specific(entry.segments, best->segments)) best = &entry;
  }
  if (best == nullptr) return match;
  match.route = &best->route;
  match.parameters = captured(best->segments, segments);
  return match;
}

}  // namespace ktrdr::http
