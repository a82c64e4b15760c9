#include "ktrdr/endpoints/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/testing/openapi_checker.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/endpoints/call.h"
#include "ktrdr/endpoints/metrics_endpoint.h"
#include "ktrdr/endpoints/request_metrics.h"
#include "ktrdr/metrics/testing/exposition.h"

namespace ktrdr::endpoints {

struct Page {
  std::int64_t limit = 10;
  std::optional<std::int64_t> days;
  std::optional<std::string> after;
  std::optional<api::OperationStatus> status;
  bool newest = true;
};

template <>
std::vector<QueryField<Page>> query_fields<Page>() {
  return {whole_number("limit", &Page::limit, {1, 100}, "How many."),
          whole_number("days", &Page::days, {0, 9}, "How old."),
          text("after", &Page::after, "Where to go on."), one_of("status", &Page::status, "Of which status."),
          flag("newest", &Page::newest, "In which order.")};
}

namespace {

using api::testing::OpenApiChecker;
using http::Method;
using http::Request;
using http::Response;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Response run(const Call& call, const Request& request) {
  return std::get<http::SynchronousHandler>(call.handler)(request);
}

Call claim_call() {
  return call([](const OperationId& id, const api::ClaimRequest& request) -> Result<api::MessageResponse> {
    if (request.attempt == 9) return Error(ErrorCode::kStale, "Too late.");
    return api::MessageResponse{.message = id.value + " " + request.worker_id};
  });
}

EndpointTable small_table() {
  EndpointTable table = {{.method = Method::kPost,
                          .path = "/api/v1/things/{operation_id}",
                          .name = "claim_thing",
                          .summary = "Claim <it> & go.",
                          .errors = {ErrorCode::kStale},
                          .call = claim_call()},
                         {.method = Method::kGet,
                          .path = "/api/v1/things",
                          .name = "list_things",
                          .summary = "All.",
                          .access = http::Access::kPublic,
                          .call = call([](const Query<Page>& page) -> Result<api::MessageResponse> {
                            return api::MessageResponse{.message = std::to_string(page->limit)};
                          })}};
  add_documentation(table, {.name = "small", .version = "1", .description = "Two things."});
  return table;
}

std::string document() {
  return describe(small_table(), {.name = "small", .version = "1", .description = "x"});
}

TEST(Endpoint, AHandlersTypesSayWhatIsReadAndAnswered) {
  const Call claim = claim_call();
  ASSERT_EQ(claim.parameters.size(), 1u);
  EXPECT_EQ(claim.parameters[0].name, "operation_id");
  EXPECT_TRUE(claim.body_required);
  ASSERT_EQ(claim.answers.size(), 1u);
  EXPECT_EQ(claim.answers[0].status, 200);
  const Response answer =
      run(claim, {.parameters = {{"operation_id", "op_1"}}, .body = R"({"attempt":1,"worker_id":"w"})"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("op_1 w"));
}

TEST(Endpoint, WhatNobodyReadsIsRefusedSoThatAMisspeltOptionIsNeverIgnored) {
  const Call page = call([](const Query<Page>& query) -> Result<api::MessageResponse> {
    return api::MessageResponse{.message = std::to_string(query->limit)};
  });
  EXPECT_EQ(run(page, {.query = {{"limit", "3"}}}).status, 200);
  const Response misspelt = run(page, {.query = {{"limt", "3"}}});
  EXPECT_EQ(misspelt.status, 400);
  EXPECT_THAT(misspelt.body, HasSubstr("limit"));
  EXPECT_EQ(run(page, {.body = R"({"limit":3})"}).status, 400) << "it takes no body";
  EXPECT_EQ(run(claim_call(), {.parameters = {{"operation_id", "op_1"}},
                               .query = {{"attempt", "1"}},
                               .body = R"({"attempt":1,"worker_id":"w"})"})
                .status,
            400);
}

TEST(Endpoint, TheFirstArgumentThatIsWrongDecides) {
  const Response answer = run(claim_call(), {.parameters = {{"operation_id", "../x"}}, .body = "{"});
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("operation id"));
  EXPECT_EQ(run(claim_call(), {.parameters = {{"operation_id", "x"}}, .body = ""}).status, 400)
      << "the body is required";
}

TEST(Endpoint, AnEmptyOptionalBodyIsTheDefaults) {
  const Call cancel =
      call([](const OptionalBody<api::CancelRequest>& request) -> Result<api::MessageResponse> {
        return api::MessageResponse{.message = request->reason.value_or("none")};
      });
  EXPECT_FALSE(cancel.body_required);
  EXPECT_THAT(run(cancel, {.body = ""}).body, HasSubstr("none"));
  EXPECT_THAT(run(cancel, {.body = R"({"reason":"late"})"}).body, HasSubstr("late"));
  EXPECT_EQ(run(cancel, {.body = R"({"reasons":"late"})"}).status, 400);
}

TEST(Endpoint, AReplyMayComeLaterAndOnlyOnce) {
  using LateReply = Reply<api::MessageResponse, 202>;
  std::optional<LateReply> parked;
  const Call late = call([&parked](const LateReply& reply) { parked = reply; });
  ASSERT_EQ(late.answers.size(), 2u);
  EXPECT_EQ(late.answers[1].status, 202);
  std::vector<int> answered;
  std::get<http::ParkedHandler>(late.handler)(
      {}, http::Responder([&answered](const Response& response) { answered.push_back(response.status); }));
  EXPECT_THAT(answered, IsEmpty());
  (*parked)(api::MessageResponse{}, 202);
  (*parked)(Error(ErrorCode::kInternal, "again"));
  EXPECT_THAT(answered, ::testing::ElementsAre(202));
}

TEST(EndpointDeathTest, WhatIsNotDocumentedCanNotBeServed) {
  using LateReply = Reply<api::MessageResponse>;
  std::optional<LateReply> parked;
  std::get<http::ParkedHandler>(call([&parked](const LateReply& reply) { parked = reply; }).handler)(
      {}, http::Responder([](const Response&) {}));
  EXPECT_DEATH((*parked)(api::MessageResponse{}, 202), "a documented status");
  EXPECT_DEATH(make_router({{.path = "/things/{thing_id}", .name = "x", .call = claim_call()}}), "captures");
  EndpointTable twice = small_table();
  twice += {{.path = "/other", .name = "list_things", .call = call([]() -> Result<Html> { return Html{}; })}};
  EXPECT_DEATH(make_router(twice), "one endpoint");
}

TEST(Endpoint, AQueryIsParsedByItsOwnDescription) {
  const Call list = small_table()[1].call;
  EXPECT_THAT(run(list, {}).body, HasSubstr("\"10\"")) << "the struct's default";
  EXPECT_THAT(run(list, {.query = {{"limit", "7"}, {"days", "9"}, {"status", "failed"}}}).body,
              HasSubstr("\"7\""));
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"limit", "0"},
                                                                                    {"limit", "101"},
                                                                                    {"limit", "7x"},
                                                                                    {"days", "10"},
                                                                                    {"status", "ill"},
                                                                                    {"newest", "1"}}) {
    const Response refused = run(list, {.query = {{name, value}}});
    EXPECT_EQ(refused.status, 400);
    EXPECT_THAT(refused.body, HasSubstr("The query's '" + name + "' must be"));
  }
  EXPECT_EQ(run(list, {.query = {{"unknown", "1"}}}).status, 400);
}

TEST(Endpoint, TheDocumentDescribesTheTableAndItself) {
  const OpenApiChecker checker(document());
  EXPECT_THAT(checker.document_problems(), IsEmpty());
  EXPECT_THAT(checker.operations(),
              ::testing::ElementsAre("GET /api/v1/docs", "GET /api/v1/openapi.json", "GET /api/v1/things",
                                     "POST /api/v1/things/{operation_id}"));
  const EndpointTable table = small_table();
  EXPECT_EQ(run(table[2].call, {}).body, document().replace(document().find("\"x\""), 3, "\"Two things.\""))
      << "what is served is what describe() says";
  for (const char* part :
       {R"("default": 10)", R"("maximum": 100)", R"("enum": [)", R"("operationId": "claim_thing")"})
    EXPECT_THAT(document(), HasSubstr(part));
}

TEST(Endpoint, ThePageIsEscaped) {
  const Response page = run(small_table()[3].call, {});
  EXPECT_THAT(page.body, HasSubstr("Claim &lt;it&gt; &amp; go."));
  EXPECT_THAT(page.content_type, HasSubstr("text/html"));
  EXPECT_THAT(page.headers[0].second, HasSubstr("default-src 'none'"));
}

TEST(Endpoint, MetricsAreAScrapeInPrometheusTextFormatBehindTheToken) {
  metrics::Registry registry;
  metrics::Counter stale = registry.counter({"ktrdr_refused_total", "Writes refused."}, {{"kind", "fail"}});
  const Endpoint row = metrics_endpoint(registry);
  EXPECT_EQ(row.access, http::Access::kToken);
  stale.add(2);
  const Response answer = run(row.call, {});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  const metrics::testing::Exposition scrape(answer.body);
  EXPECT_THAT(scrape.problems(), IsEmpty());
  EXPECT_EQ(scrape.value("ktrdr_refused_total", {{"kind", "fail"}}), 2);
  EXPECT_EQ(run(row.call, {.query = {{"name", "x"}}}).status, 400) << "it takes no options";
}

TEST(Endpoint, MetricsAreDescribedAsTextAndNotAsJson) {
  metrics::Registry registry;
  const OpenApiChecker checker(describe({metrics_endpoint(registry)}, {.name = "small", .version = "1"}));
  EXPECT_THAT(checker.document_problems(), IsEmpty());
  EXPECT_THAT(checker.operations(), ::testing::ElementsAre("GET /metrics"));
  EXPECT_EQ(
      checker.problem_of({.method = "GET", .target = "/metrics", .status = 200, .body = registry.text()}),
      "");
}

TEST(Endpoint, AnswersAreCountedByTheRowThatGaveThem) {
  metrics::Registry registry;
  const http::Observer observe = count_requests(registry, small_table());
  const auto scrape = [&registry] { return metrics::testing::Exposition(registry.text()); };
  const auto requests = [&scrape](const std::string& route, const std::string& method,
                                  const std::string& status) {
    return scrape().value("ktrdr_http_requests_total",
                          {{"route", route}, {"method", method}, {"status", status}});
  };
  EXPECT_EQ(requests("/api/v1/things", "GET", "5xx"), 0) << "all are there before anybody asks";
  const http::Route claimed{.number = 0}, listed{.number = 1};
  observe({.route = &claimed, .status = 409, .took = std::chrono::milliseconds(2)});
  observe({.route = &listed, .status = 200, .took = std::chrono::milliseconds(3)});
  observe({.route = &listed, .status = 202, .took = std::chrono::seconds(20)});
  observe({.route = nullptr, .status = 404});
  EXPECT_EQ(requests("/api/v1/things/{operation_id}", "POST", "4xx"), 1);
  EXPECT_EQ(requests("/api/v1/things", "GET", "2xx"), 2);
  EXPECT_EQ(requests("/api/v1/things", "GET", "4xx"), 0);
  EXPECT_EQ(requests("none", "none", "4xx"), 1);
  const metrics::Labels list = {{"route", "/api/v1/things"}, {"method", "GET"}};
  EXPECT_EQ(scrape().value("ktrdr_http_request_duration_seconds_count", list), 2);
  EXPECT_NEAR(scrape().value("ktrdr_http_request_duration_seconds_sum", list).value_or(0), 20.003, 1e-9);
  EXPECT_THAT(scrape().problems(), IsEmpty());
}

// The checker is what holds our promise, so each of its teeth is tried.
TEST(OpenApiChecker, FindsAnswersThatAreNotAsDocumented) {
  const OpenApiChecker checker(document());
  const auto problem = [&checker](int status, const std::string& body) {
    return checker.problem_of(
        {.method = "GET", .target = "/api/v1/things?limit=3", .status = status, .body = body});
  };
  EXPECT_EQ(problem(200, R"({"success":true,"message":"x"})"), "");
  EXPECT_THAT(problem(200, R"({"success":true})"), HasSubstr("message")) << "a key is missing";
  EXPECT_THAT(problem(200, R"({"success":true,"message":"x","more":1})"), HasSubstr("more"));
  EXPECT_NE(problem(200, R"({"success":"yes","message":"x"})"), "") << "another type";
  EXPECT_NE(problem(200, R"({"success":true,"message":null})"), "");
  EXPECT_THAT(problem(200, "<html>"), HasSubstr("not JSON"));
  EXPECT_THAT(problem(202, R"({"success":true,"message":"x"})"), HasSubstr("not documented"));
  const std::string refusal =
      R"({"success":false,"detail":"x","error":{"code":"X","message":"x","details":{}}})";
  EXPECT_EQ(problem(400, refusal), "");
  EXPECT_THAT(problem(409, refusal), HasSubstr("not documented"));
  EXPECT_THAT(problem(401, refusal), HasSubstr("not documented")) << "a public route never asks for a token";
  EXPECT_NE(problem(400, R"({"detail":"x"})"), "");
}

TEST(OpenApiChecker, KnowsWhichRequestsNothingTakes) {
  const OpenApiChecker checker(document());
  EXPECT_NE(checker.problem_of({"GET", "/api/v1/elsewhere", "", 200, "{}"}), "");
  EXPECT_NE(checker.problem_of({"GET", "/api/v1/elsewhere", "", 404, "{}"}), "") << "not the error body";
  EXPECT_EQ(checker.operation_of("GET", "/api/v1/things/op_1"), "");
  EXPECT_EQ(checker.operation_of("POST", "/api/v1/things/op_1?x=1"), "POST /api/v1/things/{operation_id}");
}

TEST(OpenApiChecker, FindsRequestsThatWereAcceptedAgainstTheDocument) {
  const OpenApiChecker checker(document());
  const std::string good = R"({"success":true,"message":"x"})";
  const std::string target = "/api/v1/things/op_1";
  EXPECT_EQ(checker.problem_of({"POST", target, R"({"attempt":1,"worker_id":"w"})", 200, good}), "")
      << "what has a default may be left out of a request";
  EXPECT_THAT(checker.problem_of({"POST", target, R"({"worker_id":"w"})", 200, good}), HasSubstr("accepted"));
}

TEST(OpenApiChecker, FindsDocumentsThatAreBroken) {
  const auto problems_after = [](const std::string& from, const std::string& to) {
    std::string text = document();
    text.replace(text.find(from), from.size(), to);
    return OpenApiChecker(text).document_problems();
  };
  EXPECT_THAT(problems_after("schemas/MessageResponse", "schemas/Nothing"), ::testing::Not(IsEmpty()));
  EXPECT_THAT(problems_after("things/{operation_id}", "things/{thing_id}"), ::testing::Not(IsEmpty()));
  EXPECT_THAT(problems_after("\"list_things\"", "\"claim_thing\""), ::testing::Not(IsEmpty()));
  EXPECT_THAT(problems_after("3.1.0", "3.0.0"), ::testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace ktrdr::endpoints
