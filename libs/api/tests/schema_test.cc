#include "ktrdr/api/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/worker.h"

namespace ktrdr::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

std::string text_of(const std::string& name, const SchemaSet& set) { return set.components().at(name); }

TEST(Schema, AnAnswerHasEveryKeyAndARequestOnlyWhatItMust) {
  SchemaSet answers, requests;
  EXPECT_EQ(schema_of<ClaimRequest>(answers, Direction::kAnswer),
            R"({"$ref":"#/components/schemas/ClaimRequest"})");
  schema_of<ClaimRequest>(requests, Direction::kRequest);
  EXPECT_THAT(text_of("ClaimRequest", answers),
              HasSubstr(R"("required":["attempt","worker_id","worker_name"])"));
  EXPECT_THAT(text_of("ClaimRequest", requests), HasSubstr(R"("required":["attempt","worker_id"])"));
  EXPECT_THAT(text_of("ClaimRequest", requests), HasSubstr(R"("additionalProperties":false)"));
}

TEST(Schema, WhatATypeRefersToComesAlong) {
  SchemaSet set;
  schema_of<CommitCheckpointRequest>(set, Direction::kRequest);
  EXPECT_THAT(set.components(), ElementsAre(Key("CheckpointInfo"), Key("CommitCheckpointRequest")));
}

TEST(Schema, ATypeOfBothDirectionsHasTwoNames) {
  SchemaSet set;
  for (int pass = 0; pass < 2; ++pass) {
    set.forget_texts();
    schema_of<HeartbeatRequest>(set, Direction::kRequest);
    schema_of<Progress>(set, Direction::kAnswer);
  }
  EXPECT_THAT(set.components(), ElementsAre(Key("CheckpointCounts"), Key("EpochMetrics"),
                                            Key("HeartbeatRequest"), Key("Progress"), Key("ProgressContext"),
                                            Key("ProgressContextInput"), Key("ProgressInput")));
  EXPECT_THAT(text_of("HeartbeatRequest", set), HasSubstr("schemas/ProgressInput"));
}

TEST(Schema, NumbersAreNullOnlyWhereTheyCanBe) {
  SchemaSet answers, requests;
  schema_of<Progress>(answers, Direction::kAnswer);
  schema_of<Progress>(requests, Direction::kRequest);
  EXPECT_THAT(text_of("Progress", answers), HasSubstr(R"("percentage":{"type":["number","null"])"))
      << "a number that is not finite is written as null";
  EXPECT_THAT(text_of("Progress", requests), HasSubstr(R"("percentage":{"type":"number")"));
  EXPECT_THAT(text_of("Progress", answers), HasSubstr(R"("items_total":{"type":["integer","null"])"));
  EXPECT_THAT(text_of("Progress", answers), HasSubstr(R"("steps_total":{"type":"integer")"));
}

TEST(Schema, OptionalStructsEnumsAndFreeForms) {
  SchemaSet set;
  schema_of<Operation>(set, Direction::kAnswer);
  const std::string operation = text_of("Operation", set);
  EXPECT_THAT(
      operation,
      HasSubstr(
          R"("checkpoint":{"anyOf":[{"$ref":"#/components/schemas/CheckpointInfo"},{"type":"null"}]})"));
  EXPECT_THAT(operation, HasSubstr(R"("status":{"type":"string","enum":["pending","running")"));
  EXPECT_THAT(operation, HasSubstr(R"("result_summary":{})"));
  EXPECT_THAT(operation, HasSubstr(R"("warnings":{"type":"array","items":{"type":"string"}})"));
}

TEST(Schema, KnowsTheWordsOfAnEnum) {
  EXPECT_EQ(words_of<OperationStatus>().size(), 5u);
  EXPECT_EQ(value_of<OperationStatus>("failed"), OperationStatus::kFailed);
  EXPECT_EQ(value_of<OperationStatus>("FAILED"), std::nullopt);
}

}  // namespace
}  // namespace ktrdr::api
