#include "ktrdr/curl/easy_pool.h"

#include <gtest/gtest.h>

namespace ktrdr::curl {
namespace {

TEST(EasyPool, AHandleThatCameBackIsTakenAgain) {
  EasyPool pool(1);
  Easy easy = pool.take();
  CURL* const handle = easy.get();
  pool.give_back(std::move(easy));
  EXPECT_EQ(pool.take().get(), handle);
}

TEST(EasyPool, AHandleIsNeverTakenTwiceAtOnce) {
  EasyPool pool(2);
  const Easy one = pool.take(), other = pool.take();
  EXPECT_NE(one.get(), other.get());
}

TEST(EasyPool, KeepsNoMoreThanItMay) {
  EasyPool pool(1);
  Easy one = pool.take(), other = pool.take();
  CURL* const kept = one.get();
  pool.give_back(std::move(one));
  pool.give_back(std::move(other));
  const Easy first = pool.take(), second = pool.take();
  EXPECT_EQ(first.get(), kept);
  EXPECT_NE(second.get(), kept);
}

TEST(EasyPool, AHandleForgetsWhatItWasSetTo) {
  EasyPool pool(1);
  Easy easy = pool.take();
  int secret = 0;
  set(easy.get(), CURLOPT_PRIVATE, static_cast<void*>(&secret));
  pool.give_back(std::move(easy));
  easy = pool.take();
  void* remembered = &secret;
  curl_easy_getinfo(easy.get(), CURLINFO_PRIVATE, &remembered);
  EXPECT_EQ(remembered, nullptr);
}

}  // namespace
}  // namespace ktrdr::curl
