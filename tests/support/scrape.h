// GET /metrics of a server or a worker, and what docs/metrics.md says should be there.
#pragma once

#include <functional>
#include <string>

#include "ktrdr/metrics/testing/exposition.h"
#include "support/test_system.h"

namespace ktrdr::system_test {

// With the system's token. Fails the test when it is not a well-formed scrape.
metrics::testing::Exposition scrape(TestSystem& system, const std::string& url);

// Scrapes again until it is as `wanted` says; fails the test when that takes longer than half a minute.
metrics::testing::Exposition scrape_until(TestSystem& system, const std::string& url,
                                          const std::function<bool(metrics::testing::Exposition&)>& wanted);

// Whatever is exposed (but not described, of another kind or with other labels), or described but not
// exposed. `section` is the heading of the process's table: "The server".
std::string difference_to_documentation(const metrics::testing::Exposition& scrape,
                                        const std::string& section);

}  // namespace ktrdr::system_test
