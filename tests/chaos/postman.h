// Delivers what should long be over: requests that were answered before, and the writes of workers that lost
// their operation. A thread of its own.
#pragma once

#include <thread>

#include "person.h"

namespace ktrdr::chaos {

class Postman {
 public:
  Postman(World world, std::uint64_t seed);

 private:
  void live(std::stop_token stop);
  void repeat_a_request();
  void write_as_a_superseded_worker();

  World world_;
  Random random_;
  WayIn way_in_;
  std::jthread thread_;
};

}  // namespace ktrdr::chaos
