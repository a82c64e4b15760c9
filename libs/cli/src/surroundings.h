// Everything of the outside world that a command touches, so that tests can bring their own.
#pragma once

#include <functional>
#include <memory>

#include "ktrdr/cli/cli.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/clock.h"

namespace ktrdr::cli {

// The waits between two looks at an operation, and the Ctrl+C that ends them.
class Pause {
 public:
  virtual ~Pause() = default;
  virtual void wait(Duration duration) = 0;  // returns early on Ctrl+C
  virtual bool is_interrupted() const = 0;
};

struct Surroundings {
  Streams streams;
  client::Environment environment;
  const Clock& clock;
  std::function<std::unique_ptr<Pause>()> begin_pauses;  // Ctrl+C is ours for the life of the Pause
  std::size_t terminal_width = 80;
};

int run_in(const Surroundings& surroundings, int argc, const char* const* argv,
           const std::vector<ExtraCommand>& extra_commands);

}  // namespace ktrdr::cli
