#include "ktrdr/http/router.h"

#include <gtest/gtest.h>

namespace ktrdr::http {
namespace {

using Segments = std::vector<std::string>;

Response nothing(const Request&) { return {}; }

Route route(Method method, std::string pattern) {
  return {method, std::move(pattern), Access::kPublic, nothing};
}

std::string found(const Router& router, Method method, const Segments& segments) {
  const RouteMatch match = router.find(method, segments);
  return match.route == nullptr ? "" : match.route->pattern;
}

TEST(Router, FindsLiteralPathsAndNothingBeside) {
  const Router router({route(Method::kGet, "/"), route(Method::kGet, "/a/b")});
  EXPECT_EQ(found(router, Method::kGet, {""}), "/");
  EXPECT_EQ(found(router, Method::kGet, {"a", "b"}), "/a/b");
  for (const Segments& other : {Segments{"a"}, {"a", "b", ""}, {"a", "b", "c"}, {"A", "b"}, {"a", "", "b"}}) {
    EXPECT_TRUE(router.find(Method::kGet, other).allowed.empty());
  }
}

TEST(Router, ACaptureTakesOneSegmentThatIsNotEmpty) {
  const Router router({route(Method::kPost, "/operations/{operation_id}/resume")});
  const RouteMatch match = router.find(Method::kPost, {"operations", "op-1", "resume"});
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.parameters.at("operation_id"), "op-1");
  EXPECT_EQ(found(router, Method::kPost, {"operations", "", "resume"}), "");
  EXPECT_EQ(found(router, Method::kPost, {"operations", "a", "b", "resume"}), "");
}

TEST(Router, LiteralsWinOverCapturesFromTheLeftWhateverTheOrderOfTheTable) {
  const Router router({route(Method::kGet, "/{x}/b"), route(Method::kGet, "/{x}/{y}"),
                       route(Method::kGet, "/a/{y}"), route(Method::kGet, "/a/b")});
  EXPECT_EQ(found(router, Method::kGet, {"a", "b"}), "/a/b");
  EXPECT_EQ(found(router, Method::kGet, {"a", "c"}), "/a/{y}");
  EXPECT_EQ(found(router, Method::kGet, {"c", "b"}), "/{x}/b");
  EXPECT_EQ(found(router, Method::kGet, {"c", "c"}), "/{x}/{y}");
}

TEST(Router, ALiteralWithoutTheMethodDoesNotHideACaptureThatHasIt) {
  const Router router(
      {route(Method::kGet, "/checkpoints/stats"), route(Method::kDelete, "/checkpoints/{id}")});
  EXPECT_EQ(found(router, Method::kDelete, {"checkpoints", "stats"}), "/checkpoints/{id}");
}

TEST(Router, AWrongMethodIsToldWhichThereAre) {
  const Router router(
      {route(Method::kGet, "/a/{x}"), route(Method::kDelete, "/a/b"), route(Method::kPut, "/c")});
  const RouteMatch match = router.find(Method::kPost, {"a", "b"});
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allowed, (std::set{Method::kGet, Method::kDelete}));
}

TEST(RouterDeathTest, AWrongTableStopsTheProgram) {
  EXPECT_DEATH(Router({route(Method::kGet, "/a/{x}"), route(Method::kGet, "/a/{y}")}), "one handler");
  EXPECT_DEATH(Router({route(Method::kGet, "a")}), "starts with a slash");
  EXPECT_DEATH(Router({route(Method::kGet, "/{x}/{x}")}), "each capture once");
  EXPECT_DEATH(Router({{Method::kGet, "/a", Access::kPublic, SynchronousHandler()}}), "has a handler");
}

}  // namespace
}  // namespace ktrdr::http
