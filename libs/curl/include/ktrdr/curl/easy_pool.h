// Idle handles. A handle keeps its connections, so one that comes back is a connection that can be used
// again. Safe to call from any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/curl/easy.h"

namespace ktrdr::curl {

class EasyPool {
 public:
  explicit EasyPool(std::size_t most_idle);

  Easy take();
  void give_back(Easy easy);  // forgets the request with its keys, keeps the connections

 private:
  Easy take_idle();

  const std::size_t most_idle_;
  Synchronized<std::vector<Easy>> idle_;
};

}  // namespace ktrdr::curl
