// The progress of a followed operation on stderr: one line that is drawn in place on a terminal, one line per
// new epoch elsewhere (so that a log file stays readable).
#pragma once

#include <ostream>
#include <string>

#include "ktrdr/api/operation.h"

namespace ktrdr::cli {

class ProgressDisplay {
 public:
  struct Screen {
    std::ostream& err;
    bool is_terminal;
    std::size_t width;
  };
  explicit ProgressDisplay(Screen screen) : screen_(screen) {}

  // `queue_reason` says why a queued operation waits ("no worker is connected"); empty when it doesn't.
  void show(const api::Operation& operation, const std::string& queue_reason);
  void note(const std::string& words);  // a line of its own, above the bar
  void finish();                        // the bar is done: what follows starts on a new line

 private:
  void clear_line();

  Screen screen_;
  std::string shown_;  // what the screen holds: the bar, or the key of the last line
};

// "epoch 5/10  train 0.6931  val 0.6899  best 0.6850  12.3k samples/s  ETA 1m 05s  training"
std::string progress_line(const api::Operation& operation, const std::string& queue_reason);

}  // namespace ktrdr::cli
