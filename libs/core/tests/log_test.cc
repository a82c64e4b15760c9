#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "ktrdr/core/log.h"

namespace ktrdr {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// What `write` logs.
template <class Write>
std::string logged(LogFormat format, Write write) {
  ::testing::internal::CaptureStderr();
  start_logging("test", LogLevel::kInfo, format);
  write();
  return ::testing::internal::GetCapturedStderr();
}

template <class Write>
nlohmann::json logged_json(Write write) {
  return nlohmann::json::parse(logged(LogFormat::kJson, write));
}

TEST(Log, ALineHasTimeLevelProgramMessageAndFields) {
  const std::string line = logged(LogFormat::kText, [] {
    log(LogLevel::kWarning, "it rains", {{"where", "here"}, {"how", "cats and dogs"}});
  });
  EXPECT_THAT(line,
              ::testing::MatchesRegex(
                  "....-..-..T..:..:..\\....Z warning test it rains where=here how=\"cats and dogs\"\n"));
}

TEST(Log, LinesOfAScopeSayWhatTheyAreAbout) {
  const std::string line = logged(LogFormat::kText, [] {
    const LogScope scope({.operation = "op_1", .attempt = 2, .worker = "w_1"});
    log(LogLevel::kInfo, "saved", {{"checkpoint", "2-7"}});
  });
  EXPECT_THAT(line, EndsWith("saved operation=op_1 attempt=2 worker=w_1 checkpoint=2-7\n"));
}

TEST(Log, ALineThatNamesOneOfTheThreeHasAllThree) {
  const auto write = [] { log(LogLevel::kInfo, "swept", {{"operation", "op_1"}, {"count", "3"}}); };
  EXPECT_THAT(logged(LogFormat::kText, write), EndsWith("swept operation=op_1 attempt=- worker=- count=3\n"));
  const auto line = logged_json(write);
  EXPECT_TRUE(line.at("attempt").is_null());
  EXPECT_TRUE(line.at("worker").is_null());
}

TEST(Log, ALineAboutNothingHasNoneOfThem) {
  EXPECT_THAT(logged(LogFormat::kText, [] { log(LogLevel::kInfo, "ready"); }), Not(HasSubstr("attempt")));
  EXPECT_FALSE(logged_json([] { log(LogLevel::kInfo, "ready"); }).contains("operation"));
}

TEST(Log, FieldsOfTheLineComeBeforeTheScopes) {
  const LogScope scope({.operation = "op_1", .attempt = 2, .worker = "w_1"});
  const auto about = [](std::initializer_list<LogField> fields) {
    const auto line = logged_json([&] { log(LogLevel::kInfo, "x", fields); });
    return line.at("operation").dump() + line.at("attempt").dump() + line.at("worker").dump();
  };
  EXPECT_EQ(about({}), R"("op_1"2"w_1")");
  EXPECT_EQ(about({{"worker", "w_2"}}), R"("op_1"2"w_2")");
  EXPECT_EQ(about({{"operation", "op_1"}}), R"("op_1"2"w_1")");
  EXPECT_EQ(about({{"attempt", "3"}}), R"("op_1"3null)")
      << "that the next attempt has this worker is not known";
  EXPECT_EQ(about({{"operation", "op_2"}}), R"("op_2"nullnull)") << "another operation has another attempt";
}

TEST(Log, AScopeEndsWithWhatWasBefore) {
  const LogScope outer({.operation = "op_1", .attempt = 1, .worker = "w_1"});
  {
    const LogScope inner({.operation = "op_2"});
    EXPECT_EQ(log_subject(), LogSubject{.operation = "op_2"});
  }
  EXPECT_EQ(log_subject().operation, "op_1");
}

TEST(Log, AScopeIsOfItsThreadAndCanBeTakenAlong) {
  const LogScope scope({.operation = "op_1", .attempt = 1, .worker = "w_1"});
  LogSubject alone, taken_along;
  std::jthread([&] { alone = log_subject(); }).join();
  std::jthread([&, subject = log_subject()] {
    const LogScope inner(subject);
    taken_along = log_subject();
  }).join();
  EXPECT_EQ(alone, LogSubject());
  EXPECT_EQ(taken_along, log_subject());
}

TEST(Log, AJsonLineIsOneObjectWithTheAttemptAsANumber) {
  const auto line = logged_json([] {
    const LogScope scope({.operation = "op_1", .attempt = 2, .worker = "w_1"});
    log(LogLevel::kError, "it failed", {{"bytes", "17"}});
  });
  EXPECT_EQ(line.at("level"), "error");
  EXPECT_EQ(line.at("program"), "test");
  EXPECT_EQ(line.at("message"), "it failed");
  EXPECT_EQ(line.at("attempt"), 2);
  EXPECT_EQ(line.at("bytes"), "17");
  EXPECT_THAT(line.at("time").get<std::string>(), ::testing::MatchesRegex("....-..-..T..:..:..\\....Z"));
}

TEST(Log, NothingThatIsLoggedCanForgeALine) {
  const std::string evil = "a\nb\r\x1b[31m\"c\\ \x7f";
  const auto write = [&] { log(LogLevel::kInfo, evil, {{"value", evil}}); };
  EXPECT_THAT(logged(LogFormat::kText, write), EndsWith("a\\x0ab\\x0d\\x1b[31m\"c\\ \\x7f "
                                                        "value=\"a\\x0ab\\x0d\\x1b[31m\\\"c\\ \\x7f\"\n"));
  const std::string json = logged(LogFormat::kJson, write);
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1);
  EXPECT_THAT(json, Not(HasSubstr("\x1b")));
  EXPECT_EQ(nlohmann::json::parse(json).at("message"), evil);
  EXPECT_EQ(nlohmann::json::parse(json).at("value"), evil);
}

TEST(Log, WhatIsNotUtf8IsReplacedInJson) {
  const std::string fffd = "\xef\xbf\xbd", kept = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
  const auto written_as = [](const std::string& text) {
    return logged_json([&] { log(LogLevel::kInfo, text); }).at("message").get<std::string>();
  };
  EXPECT_EQ(written_as(kept), kept);
  EXPECT_EQ(written_as("a\xff"
                       "b"),
            "a" + fffd + "b");
  EXPECT_EQ(written_as("\xc0\xaf"), fffd + fffd) << "overlong";
  EXPECT_EQ(written_as("\xed\xa0\x80"), fffd + fffd + fffd) << "a surrogate";
  EXPECT_EQ(written_as("end \xe2\x82"), "end " + fffd + fffd) << "cut off";
}

TEST(Log, FormatsHaveNames) {
  EXPECT_EQ(log_format_named("json"), LogFormat::kJson);
  EXPECT_EQ(log_format_named("text"), LogFormat::kText);
  EXPECT_EQ(log_format_named("xml"), std::nullopt);
}

}  // namespace
}  // namespace ktrdr
