#include "target.h"

#include <gtest/gtest.h>

#include "text.h"

namespace ktrdr::http {
namespace {

using Segments = std::vector<std::string>;

Segments segments_of(std::string_view target) { return std::get<Target>(parse_target(target)).segments; }
StringMap query_of(std::string_view target) { return std::get<Target>(parse_target(target)).query; }
bool is_refused(std::string_view target) { return std::holds_alternative<Refusal>(parse_target(target)); }

TEST(Target, IsSplitIntoDecodedSegments) {
  EXPECT_EQ(segments_of("/"), Segments{""});
  EXPECT_EQ(segments_of("/a/b"), (Segments{"a", "b"}));
  EXPECT_EQ(segments_of("/a//b/"), (Segments{"a", "", "b", ""}));
  EXPECT_EQ(segments_of("/caf%C3%A9/a%20b/a+b/x;y=1"), (Segments{"café", "a b", "a+b", "x;y=1"}));
  EXPECT_EQ(segments_of("/..."), Segments{"..."});
}

TEST(Target, IsDecodedOnlyOnce) {
  EXPECT_EQ(segments_of("/%252e%252e%252f"), Segments{"%2e%2e%2f"});
  EXPECT_EQ(query_of("/?a=%2541").at("a"), "%41");
}

TEST(Target, RefusesPathsThatMeanSomethingElseToSomebodyElse) {
  for (const std::string_view target : {"",           "a",      "*",         "http://localhost/open",
                                        "/..",        "/.",     "/a/../b",   "/%2e%2e/b",
                                        "/.%2E",      "/a%2fb", "/a%2Fb",    "/a%5cb",
                                        "/a\\b",      "/%00",   "/a%00.txt", "/%0d%0a",
                                        "/%1b",       "/%7f",   "/%",        "/%4",
                                        "/%zz",       "/a%",    "/%ff",      "/%c0%af",
                                        "/%ed%a0%80", "/a#b",   "/#/../etc"}) {
    EXPECT_TRUE(is_refused(target)) << target;
  }
}

TEST(Target, TakesTheQueryApart) {
  EXPECT_EQ(query_of("/a"), StringMap{});
  EXPECT_EQ(query_of("/a?"), StringMap{});
  EXPECT_EQ(query_of("/a?limit=10&q=a+b%2Bc&flag&empty=&e=x=y&&"),
            (StringMap{{"limit", "10"}, {"q", "a b+c"}, {"flag", ""}, {"empty", ""}, {"e", "x=y"}}));
  EXPECT_EQ(query_of("/a?path=/../x?y").at("path"), "/../x?y");
}

TEST(Target, RefusesDoubtfulQueries) {
  for (const std::string_view target : {"/a?x=1&x=2", "/a?x=1&%78=2", "/a?=1", "/a?x=%00", "/a?x=%0a",
                                        "/a?x=%ff", "/a?x=%4", "/a?%=1", "/a?x=1#y"}) {
    EXPECT_TRUE(is_refused(target)) << target;
  }
}

TEST(Text, KnowsUtf8) {
  for (const std::string_view good : {"", "a", "é", "€", "😀", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const std::string_view bad : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                                     "\xE2\x82", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                     "\xFF", "a\xE2\x28\xA1", "\xF0\x9F\x98\x28"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

}  // namespace
}  // namespace ktrdr::http
