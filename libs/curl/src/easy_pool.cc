#include "ktrdr/curl/easy_pool.h"

#include <mutex>
#include <utility>

namespace ktrdr::curl {

EasyPool::EasyPool(std::size_t most_idle) : most_idle_(most_idle) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

Easy EasyPool::take() {
  Easy easy = take_idle();
  if (easy == nullptr) easy.reset(curl_easy_init());
  CHECK(easy != nullptr, "there is memory for a connection");
  return easy;
}

void EasyPool::give_back(Easy easy) {
  curl_easy_reset(easy.get());
  auto idle = idle_.lock();
  if (idle->size() < most_idle_) idle->push_back(std::move(easy));
}

Easy EasyPool::take_idle() {
  auto idle = idle_.lock();
  if (idle->empty()) return nullptr;
  Easy easy = std::move(idle->back());
  idle->pop_back();
  return easy;
}

}  // namespace ktrdr::curl
