// What a well-behaved client sees, and how the server starts and stops.
#include "ktrdr/http/server.h"

#include <future>
#include <thread>

#include "ktrdr/core/synchronized.h"
#include "test_server.h"

namespace ktrdr::http {
namespace {

using ::ktrdr::testing::FailsWith;
using ::ktrdr::testing::SaysError;
using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(10);

std::string with_token(std::string_view line) {
  return std::string(line) + "\r\nAuthorization: Bearer " + std::string(kToken);
}

std::string json_request(std::string_view line, std::string_view body) {
  return std::string(line) + "\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

constexpr std::string_view kGetOpen = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(Server, GivesTheHandlerPathCapturesQueryAndBody) {
  TestServer server;
  EXPECT_THAT(server.ask("GET /items/a%20b?x=1&y=%C3%A9 HTTP/1.1"),
              Shows("GET /items/a b {id=a b;} ?x=1;y=é; "));
  EXPECT_THAT(server.exchange(json_request("POST /open HTTP/1.1", R"({"a": 1})")),
              Shows(R"(POST /open {} ? {"a": 1})"));
  EXPECT_THAT(server.ask("GET /items/special HTTP/1.1"), Shows("special"));
}

TEST(Server, GivesTheHandlerHeadersAndAddressButNotTheToken) {
  TestServer server({}, {{Method::kGet, "/headers", Access::kToken, [](const Request& request) {
                            return text(request.remote_address + " " +
                                        std::string(request.header("IF-match").value_or("none")) +
                                        (request.header("Authorization") ? " leaked" : ""));
                          }}});
  EXPECT_THAT(server.ask(with_token("GET /headers HTTP/1.1\r\nIf-Match: \"7\"")), Shows("127.0.0.1 \"7\""));
}

TEST(Server, AddsItsHeadersAndLetsTheHandlerReplaceThem) {
  TestServer server({}, {{Method::kGet, "/asset", Access::kPublic, [](const Request&) {
                            return Response{.status = 200,
                                            .body = "x",
                                            .content_type = "text/css",
                                            .headers = {{"Cache-Control", "max-age=60"}, {"X-Own", "1"}}};
                          }}});
  const RawResponse plain = server.ask("GET /open HTTP/1.1");
  EXPECT_EQ(plain.header("cache-control"), "no-store");
  EXPECT_EQ(plain.header("x-content-type-options"), "nosniff");
  const RawResponse asset = server.ask("GET /asset HTTP/1.1");
  EXPECT_EQ(asset.header("cache-control"), "max-age=60");
  EXPECT_EQ(asset.header("content-type"), "text/css");
  EXPECT_EQ(asset.header("x-own"), "1");
}

TEST(Server, UnknownPathsAre404AndWrongMethods405WithAllow) {
  TestServer server;
  EXPECT_THAT(server.ask("GET /nothing HTTP/1.1"), IsRefusal(404, "NO_SUCH_ROUTE"));
  EXPECT_THAT(server.ask("GET /items/ HTTP/1.1"), IsRefusal(404, "NO_SUCH_ROUTE"));
  for (const std::string method : {"POST", "OPTIONS", "TRACE", "PROPFIND", "get"}) {
    const RawResponse response = server.ask(method + " /items/7 HTTP/1.1");
    EXPECT_THAT(response, IsRefusal(405, "METHOD_NOT_ALLOWED")) << method;
    EXPECT_EQ(response.header("allow"), "GET, HEAD, DELETE") << method;
  }
}

TEST(Server, TellsItsObserverOfEveryAnswerWhoseRouteAndHowLong) {
  struct Seen {
    std::string route;
    int status;
    bool took_time;
    bool operator==(const Seen&) const = default;
  };
  Synchronized<std::vector<Seen>> seen;
  TestServer server({}, {}, [&seen](const Answered& answered) {
    seen.lock()->push_back({answered.route == nullptr
                                ? "none"
                                : std::to_string(answered.route->number) + answered.route->pattern,
                            answered.status, answered.took > std::chrono::nanoseconds(0)});
  });
  server.ask("GET /items/7 HTTP/1.1");
  server.ask("GET /nothing HTTP/1.1");
  server.ask("GET /closed HTTP/1.1");
  server.ask("GET /throws HTTP/1.1");
  server.ask("garbage");
  EXPECT_THAT(*seen.lock(), ::testing::ElementsAre(Seen{"10/items/{id}", 200, true}, Seen{"none", 404, true},
                                                   Seen{"none", 401, true}, Seen{"13/throws", 500, true},
                                                   Seen{"none", 400, true}));
}

TEST(Server, HeadIsGetWithoutTheBody) {
  TestServer server;
  RawClient client = server.connect();
  client.send("HEAD /open HTTP/1.1\r\nHost: localhost\r\n\r\n" + std::string(kGetOpen) +
              "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const RawResponse found = client.read_response(true).value();
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.header("content-length"), std::to_string(std::string("GET /open {} ? ").size()));
  EXPECT_THAT(client.read_response().value(), Shows("GET /open {} ? "));
  EXPECT_EQ(client.read_response(true).value().status, 404);
  EXPECT_TRUE(client.is_closed());
}

TEST(Server, ProtectedRoutesNeedTheTokenOnEveryMethod) {
  TestServer server;
  for (const std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    const std::string line = method + " /closed HTTP/1.1";
    EXPECT_THAT(server.ask(with_token(line)), Shows(method + " /closed {} ? "));
    EXPECT_THAT(server.ask(line), IsRefusal(401, "UNAUTHORIZED"));
    EXPECT_EQ(server.ask(line).header("www-authenticate"), "Bearer");
  }
}

TEST(Server, OnlyTheExactTokenAsOneBearerHeaderIsAccepted) {
  TestServer server;
  const std::string token(kToken);
  EXPECT_EQ(server.ask("GET /closed HTTP/1.1\r\nauthorization: bEARER " + token).status, 200);
  for (const std::string& header :
       {std::string("Bearer wrong"), "Bearer " + token.substr(1), "Bearer " + token + "x",
        std::string("Bearer"), std::string("Bearer "), token, "Basic " + token,
        "Bearer " + token + "\r\nAuthorization: Bearer " + token}) {
    EXPECT_THAT(server.ask("GET /closed HTTP/1.1\r\nAuthorization: " + header),
                IsRefusal(401, "UNAUTHORIZED"))
        << header;
  }
  EXPECT_EQ(server.ask("GET /closed?token=" + token + " HTTP/1.1").status, 401);
}

TEST(Server, WithoutATokenEveryRouteIsOpenOnLoopback) {
  const auto server = Server::start({}, Router(test_routes())).value();
  RawClient client(server->port());
  client.send("GET /closed HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.read_response().value().status, 200);
}

TEST(Server, WithoutATokenItListensOnLoopbackOnly) {
  for (const std::string address : {"0.0.0.0", "::", "192.0.2.1"}) {
    ServerOptions options;
    options.address = address;
    EXPECT_THAT(Server::start(options, Router(test_routes())), FailsWith(ErrorCode::kForbidden)) << address;
  }
}

TEST(Server, RefusesOptionsThatCanNotWork) {
  ServerOptions empty_token;
  empty_token.token = "";
  EXPECT_THAT(Server::start(empty_token, Router(test_routes())), FailsWith(ErrorCode::kInvalidArgument));
  ServerOptions no_address;
  no_address.address = "example.com";
  EXPECT_THAT(Server::start(no_address, Router(test_routes())), FailsWith(ErrorCode::kInvalidArgument));
  ServerOptions not_ours;
  not_ours.address = "192.0.2.1";
  not_ours.token = kToken;
  EXPECT_THAT(Server::start(not_ours, Router(test_routes())), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(Server, APortInUseIsAConflictThatNamesTheOption) {
  TestServer server;
  ServerOptions options;
  options.port = server->port();
  const auto second = Server::start(options, Router(test_routes()));
  EXPECT_THAT(second, FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(second, SaysError("--port"));
  EXPECT_THAT(server.ask("GET /open HTTP/1.1"), Shows("GET /open {} ? "));
}

TEST(Server, ItsPortIsFreeAtOnceAfterItStopped) {
  TestServer first;
  ServerOptions options;
  options.port = first->port();
  RawClient client = first.connect();
  client.send(kGetOpen);
  EXPECT_EQ(client.read_response().value().status, 200);
  first->stop();
  EXPECT_TRUE(client.is_closed());
  EXPECT_THAT(Server::start(options, Router(test_routes())), ::ktrdr::testing::IsOk());
}

TEST(Server, KeepsAConnectionForSeveralRequests) {
  TestServer server;
  RawClient client = server.connect();
  for (int i = 0; i < 3; ++i) {
    client.send(json_request("POST /open HTTP/1.1", std::to_string(i)));
    EXPECT_THAT(client.read_response().value(), Shows("POST /open {} ? " + std::to_string(i)));
  }
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  RawClient client = server.connect();
  std::string requests;
  for (int i = 0; i < 20; ++i)
    requests += json_request("POST /open HTTP/1.1", std::to_string(i)) + std::string(kGetOpen);
  client.send(requests);
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(client.read_response().value(), Shows("POST /open {} ? " + std::to_string(i)));
    EXPECT_THAT(client.read_response().value(), Shows("GET /open {} ? "));
  }
}

TEST(Server, ClosesWhenTheClientAsksForIt) {
  TestServer server;
  for (const std::string_view request : {"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                         "GET /open HTTP/1.0\r\nHost: localhost\r\n\r\n"}) {
    RawClient client = server.connect();
    client.send(request);
    EXPECT_EQ(client.read_response().value().status, 200);
    EXPECT_TRUE(client.is_closed());
  }
}

TEST(Server, ReadsAChunkedBody) {
  TestServer server;
  EXPECT_THAT(
      server.ask("POST /open HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked",
                 "3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"),
      Shows("POST /open {} ? [1,2]"));
}

TEST(Server, AnswersExpectContinueBeforeTheBodyIsSent) {
  TestServer server;
  RawClient client = server.connect();
  client.send(
      "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_response().value().status, 100);
  client.send("{}");
  EXPECT_THAT(client.read_response().value(), Shows("POST /open {} ? {}"));
}

TEST(Server, DoesNotAskForABodyThatItWillRefuse) {
  TestServer server;
  EXPECT_THAT(server.ask("POST /closed HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                         "Expect: 100-continue"),
              IsRefusal(401, "UNAUTHORIZED"));
  EXPECT_THAT(server.ask("POST /open HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                         "Expect: the-unexpected"),
              IsRefusal(417, "INVALID_ARGUMENT"));
}

TEST(Server, AHandlerThatThrowsIs500AndTheServerLivesOn) {
  TestServer server;
  RawClient client = server.connect();
  client.send("GET /throws HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const RawResponse response = client.read_response().value();
  EXPECT_THAT(response, IsRefusal(500, "INTERNAL_ERROR"));
  EXPECT_THAT(response.body, Not(HasSubstr("secret")));
  client.send(kGetOpen);
  EXPECT_THAT(client.read_response().value(), Shows("GET /open {} ? "));
}

TEST(Server, AResponseThatCanNotBeSentIs500) {
  TestServer server({}, {{Method::kGet, "/split", Access::kPublic,
                          [](const Request&) {
                            return Response{.body = "", .headers = {{"X-Name", "a\r\nSet-Cookie: b"}}};
                          }},
                         {Method::kGet, "/status", Access::kPublic,
                          [](const Request&) { return Response{.status = 99, .body = {}, .headers = {}}; }}});
  const RawResponse split = server.ask("GET /split HTTP/1.1");
  EXPECT_THAT(split, IsRefusal(500, "INTERNAL_ERROR"));
  EXPECT_EQ(split.header("set-cookie"), "");
  EXPECT_THAT(server.ask("GET /status HTTP/1.1"), IsRefusal(500, "INTERNAL_ERROR"));
}

TEST(Server, NoContentHasNoContent) {
  TestServer server({}, {{Method::kDelete, "/none", Access::kPublic, [](const Request&) {
                            return Response{.status = 204, .body = "ignored", .headers = {}};
                          }}});
  RawClient client = server.connect();
  client.send("DELETE /none HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.send(kGetOpen);
  const RawResponse none = client.read_response().value();
  EXPECT_EQ(none.status, 204);
  EXPECT_EQ(none.header("content-length"), "");
  EXPECT_EQ(client.read_response().value().status, 200);
}

// Hands the Responder of the request to "/wait" over to the test.
class ParkingLot {
 public:
  Route route() {
    return {Method::kDelete, "/wait", Access::kPublic,
            ParkedHandler([this](const Request&, Responder responder) {
              parked_.lock()->push_back(std::move(responder));
              arrived_.update([](int& count) { ++count; });
            })};
  }

  bool wait_for(int count) {
    return arrived_.wait(
        kPatience, [count](int now) { return now >= count; }, [](int, bool ready) { return ready; });
  }

  std::vector<Responder> take() { return std::move(*parked_.lock()); }

 private:
  Synchronized<std::vector<Responder>> parked_;
  Synchronized<int> arrived_;
};

constexpr std::string_view kWait = "DELETE /wait HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(Server, AParkedRequestIsAnsweredFromAnotherThread) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});
  RawClient client = server.connect();
  client.send(kWait);
  ASSERT_TRUE(lot.wait_for(1));
  std::jthread([responders = lot.take()] { EXPECT_TRUE(responders.front().respond(text("later"))); }).join();
  EXPECT_THAT(client.read_response().value(), Shows("later"));
  client.send(kGetOpen);
  EXPECT_EQ(client.read_response().value().status, 200);
}

TEST(Server, ParkedRequestsHoldNoThread) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});  // four handler threads
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(server.connect());
    clients.back().send(kWait);
  }
  ASSERT_TRUE(lot.wait_for(20));
  EXPECT_THAT(server.ask("GET /open HTTP/1.1"), Shows("GET /open {} ? "));
  for (const Responder& responder : lot.take()) responder.respond(text("done"));
  for (RawClient& client : clients) EXPECT_THAT(client.read_response().value(), Shows("done"));
}

TEST(Server, ADroppedResponderIs500) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});
  RawClient client = server.connect();
  client.send(kWait);
  ASSERT_TRUE(lot.wait_for(1));
  lot.take();
  EXPECT_THAT(client.read_response().value(), IsRefusal(500, "INTERNAL_ERROR"));
}

TEST(Server, AnAnswerToAClientThatHasGoneHarmsNobody) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});
  {
    RawClient client = server.connect();
    client.send(kWait);
    ASSERT_TRUE(lot.wait_for(1));
  }
  EXPECT_TRUE(lot.take().front().respond(text("too late")));
  EXPECT_EQ(server.ask("GET /open HTTP/1.1").status, 200);
}

TEST(Server, StopAnswersParkedRequestsWith503AndLaterAnswersAreDropped) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});
  RawClient client = server.connect();
  client.send(kWait);
  ASSERT_TRUE(lot.wait_for(1));
  server->stop();
  EXPECT_THAT(client.read_response().value(), IsRefusal(503, "UNAVAILABLE"));
  EXPECT_TRUE(client.is_closed());
  EXPECT_FALSE(lot.take().front().respond(text("too late")));
}

TEST(Server, AResponderMayOutliveTheServer) {
  ParkingLot lot;
  {
    TestServer server({}, {lot.route()});
    RawClient client = server.connect();
    client.send(kWait);
    ASSERT_TRUE(lot.wait_for(1));
  }
  EXPECT_FALSE(lot.take().front().respond(text("too late")));
}

// A handler that says when it has begun and then waits for the test.
struct HeldHandler {
  std::promise<void> begun;
  std::promise<void> may_end;
  Route route() {
    return {Method::kGet, "/held", Access::kPublic, [this](const Request&) {
              begun.set_value();
              may_end.get_future().wait_for(kPatience);
              return text("finished");
            }};
  }
};

constexpr std::string_view kHeld = "GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(Server, StopLetsARunningHandlerAnswer) {
  HeldHandler held;
  TestServer server({}, {held.route()});
  RawClient idle = server.connect();
  RawClient client = server.connect();
  client.send(kHeld);
  ASSERT_EQ(held.begun.get_future().wait_for(kPatience), std::future_status::ready);
  const std::jthread stopping([&server] { server->stop(); });
  EXPECT_TRUE(idle.is_closed());  // so the stop has begun
  held.may_end.set_value();
  const RawResponse response = client.read_response().value();
  EXPECT_THAT(response, Shows("finished"));
  EXPECT_EQ(response.header("connection"), "close");
  EXPECT_TRUE(client.is_closed());
}

TEST(Server, StopClosesTheConnectionOfAHandlerThatTakesTooLong) {
  HeldHandler held;
  TestServer server({.stop_timeout = std::chrono::milliseconds(1)}, {held.route()});
  RawClient client = server.connect();
  client.send(kHeld);
  ASSERT_EQ(held.begun.get_future().wait_for(kPatience), std::future_status::ready);
  const std::jthread stopping([&server] { server->stop(); });
  EXPECT_TRUE(client.is_closed());
  held.may_end.set_value();
}

TEST(Server, StopMayBeCalledTwice) {
  TestServer server;
  server->stop();
  server->stop();
}

TEST(Server, ServesTwoHundredConnectionsAtOnce) {
  ParkingLot lot;
  TestServer server({}, {lot.route()});
  std::vector<RawClient> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(server.connect());
  for (RawClient& client : clients) client.send(kWait);
  ASSERT_TRUE(lot.wait_for(200));
  for (const Responder& responder : lot.take()) responder.respond(text("all"));
  for (RawClient& client : clients) EXPECT_THAT(client.read_response().value(), Shows("all"));
}

TEST(Server, AConnectionOverTheLimitIsTold503AndTheOthersGoOn) {
  TestServer server({.connections = 2});
  RawClient first = server.connect();
  RawClient second = server.connect();
  RawClient third = server.connect();
  third.send(kGetOpen);
  EXPECT_THAT(third.read_response().value(), IsRefusal(503, "UNAVAILABLE"));
  EXPECT_TRUE(third.is_closed());
  for (RawClient* client : {&first, &second}) {
    client->send(kGetOpen);
    EXPECT_EQ(client->read_response().value().status, 200);
  }
}

}  // namespace
}  // namespace ktrdr::http
