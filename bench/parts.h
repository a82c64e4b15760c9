// What every bench of several parts does: run them in order, or the one that was named.
#pragma once

#include <string>
#include <string_view>

#include "figures.h"

namespace ktrdr::bench {

// A part of the figures; the parts of one bench may share what is expensive to make.
template <class... Shared>
struct Part {
  std::string_view name;
  void (*run)(Figures&, Shared&...);
};

// The exit code: 1 when something that must always hold did not, 2 when there is no such part.
template <class Parts, class... Shared>
int run_parts(const Parts& parts, std::string_view wanted, Shared&... shared) {
  Figures figures;
  int ran = 0;
  for (const auto& part : parts) {
    if (!wanted.empty() && wanted != part.name) continue;
    ++ran;
    const auto begin = Stopwatch::now();
    part.run(figures, shared...);
    std::fprintf(stderr, "  %s: %.1f s\n", std::string(part.name).c_str(), seconds_since(begin));
  }
  if (ran > 0) return figures.is_broken() ? 1 : 0;
  std::string names;
  for (const auto& part : parts) names += " " + std::string(part.name);
  std::fprintf(stderr, "There is no part %s; there are:%s\n", std::string(wanted).c_str(), names.c_str());
  return 2;
}

}  // namespace ktrdr::bench
