// What an attacker, a broken proxy or a foreign web page sends. Each row gets its answer, and the server
// lives on.
#include <chrono>

#include "test_server.h"

namespace ktrdr::http {
namespace {

using namespace std::string_literals;  // keeps the NULs inside
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

struct Malformed {
  std::string_view what;
  std::string bytes;
};

std::string with_headers(std::string_view headers, std::string_view body = "") {
  return "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         std::string(headers) + "\r\n\r\n" + std::string(body);
}

std::vector<Malformed> malformed_requests() {
  return {
      {"Content-Length and Transfer-Encoding",
       with_headers("Content-Length: 2\r\nTransfer-Encoding: chunked", "0\r\n\r\n")},
      {"Transfer-Encoding and Content-Length",
       with_headers("Transfer-Encoding: chunked\r\nContent-Length: 2", "0\r\n\r\n")},
      {"two lengths that differ", with_headers("Content-Length: 2\r\nContent-Length: 3", "{} ")},
      {"two lengths that agree", with_headers("Content-Length: 2\r\nContent-Length: 2", "{}")},
      {"a list of lengths", with_headers("Content-Length: 2, 2", "{}")},
      {"a signed length", with_headers("Content-Length: +2", "{}")},
      {"a negative length", with_headers("Content-Length: -2", "{}")},
      {"a hexadecimal length", with_headers("Content-Length: 0x2", "{}")},
      {"a length beyond 64 bits", with_headers("Content-Length: 99999999999999999999999", "{}")},
      {"an empty length", with_headers("Content-Length:", "{}")},
      {"a blank before the colon", with_headers("Content-Length : 2", "{}")},
      {"an unknown encoding", with_headers("Transfer-Encoding: xchunked", "0\r\n\r\n")},
      {"an unknown encoding and a length",
       with_headers("Transfer-Encoding: xchunked\r\nContent-Length: 2", "{}")},
      {"identity", with_headers("Transfer-Encoding: identity\r\nContent-Length: 2", "{}")},
      {"two encodings", with_headers("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")},
      {"the same encoding twice",
       with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")},
      {"chunks in HTTP/1.0",
       "POST /open HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n"},
      {"a chunk that is none", with_headers("Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n")},
      {"a chunk longer than it says", with_headers("Transfer-Encoding: chunked", "1\r\n{}\r\n0\r\n\r\n")},
      {"a length in a trailer",
       with_headers("Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n")},
      {"an endless chunk extension",
       with_headers("Transfer-Encoding: chunked", "2;a=" + std::string(200'000, 'x'))},
      {"bare line feeds", "GET /open HTTP/1.1\nHost: localhost\n\n"},
      {"a bare line feed in a header", "GET /open HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n"},
      {"a bare carriage return", "GET /open HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n"},
      {"NUL in the target", "GET /op\0en HTTP/1.1\r\nHost: localhost\r\n\r\n"s},
      {"NUL in a header", "GET /open HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"s},
      {"no version", "GET /open\r\nHost: localhost\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s},
      {"a header without a name", "GET /open HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n"},
      {"an absolute target", "GET http://localhost/open HTTP/1.1\r\nHost: localhost\r\n\r\n"},
      {"no Host", "GET /open HTTP/1.1\r\n\r\n"},
      {"no Host in HTTP/1.0", "GET /open HTTP/1.0\r\n\r\n"},
      {"an empty Host", "GET /open HTTP/1.1\r\nHost:\r\n\r\n"},
      {"two Hosts", "GET /open HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"},
      {"a body that is not UTF-8", with_headers("Content-Length: 4", "\"\xC3\x28\"")},
  };
}

TEST(HostileHttp, MalformedRequestsGet400AndThenTheServerStillServes) {
  TestServer server;
  for (const Malformed& request : malformed_requests()) {
    EXPECT_THAT(server.exchange(request.bytes), IsRefusal(400, "INVALID_ARGUMENT")) << request.what;
  }
  EXPECT_EQ(server.ask("GET /open HTTP/1.1").status, 200);
}

TEST(HostileHttp, ASmuggledRequestIsNeverAnswered) {
  TestServer server;
  for (const std::string_view framing : {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                                         "Transfer-Encoding: xchunked", "Content-Length: 0, 5"}) {
    RawClient client = server.connect();
    client.send(with_headers(framing, "0\r\n\r\nGET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    EXPECT_THAT(client.read_response().value(), IsRefusal(400, "INVALID_ARGUMENT")) << framing;
    EXPECT_TRUE(client.is_closed()) << framing;
  }
}

// What comes after a refused request may be its body, so it is not looked at.
TEST(HostileHttp, NothingIsReadAfterARequestThatWasRefused) {
  TestServer server;
  const std::string next = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const std::string head :
       {"GET /nothing HTTP/1.1\r\nHost: localhost", "GET /closed HTTP/1.1\r\nHost: localhost",
        "GET /open HTTP/1.1\r\nHost: evil.test",
        "GET /.. HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked"}) {
    RawClient client = server.connect();
    client.send(head + "\r\n\r\n" + next);
    EXPECT_GE(client.read_response().value().status, 400) << head;
    EXPECT_TRUE(client.is_closed()) << head;
  }
}

TEST(HostileHttp, PathTricksNeverReachAHandler) {
  TestServer server;
  for (const std::string target :
       {"/items/%2e%2e", "/items/..", "/items/a%2fb", "/items/a%5Cb", "/items/a\\b", "/items/%00",
        "/items/x%00y", "/items/%0a", "/items/%zz", "/items/%c0%ae", "/open#x", "/open?a=1&a=2"}) {
    for (const std::string method : {"GET ", "DELETE "}) {
      EXPECT_THAT(server.ask(method + target + " HTTP/1.1"), IsRefusal(400, "INVALID_ARGUMENT"))
          << method << target;
    }
  }
}

TEST(HostileHttp, DoubleEncodingStaysLiteral) {
  TestServer server;
  EXPECT_THAT(server.ask("GET /items/%252e%252e%252f HTTP/1.1"),
              Shows("GET /items/%2e%2e%2f {id=%2e%2e%2f;} ? "));
}

TEST(HostileHttp, AForeignHostIsRefusedOnEveryMethodWithAndWithoutAToken) {
  TestServer server;
  for (const std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
    for (const std::string host :
         {"evil.test", "evil.test:8000", "localhost.evil.test", "localhost:80:80", "localhost:x",
          "localhost@evil.test", "127.0.0.1.evil.test", "[::1", "[::1]evil", "::1", "localhost."}) {
      RawClient client = server.connect();
      client.send(method + " /closed HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " +
                  std::string(kToken) + "\r\n\r\n");
      EXPECT_EQ(client.read_response(method == "HEAD").value().status, 403) << method << " " << host;
    }
  }
}

TEST(HostileHttp, LoopbackNamesAreAllowedWithAnyPort) {
  TestServer server;
  for (const std::string host :
       {"localhost", "LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8000"}) {
    EXPECT_EQ(server.exchange("GET /open HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status, 200) << host;
  }
}

TEST(HostileHttp, ExtraHostsAreAllowedWhenTheyAreNamed) {
  ServerOptions options;
  options.extra_allowed_hosts = {"trainer.example"};
  const auto server = Server::start(options, Router(test_routes())).value();
  RawClient client(server->port());
  client.send("GET /open HTTP/1.1\r\nHost: trainer.example:8000\r\n\r\n");
  EXPECT_EQ(client.read_response().value().status, 200);
}

TEST(HostileHttp, PagesOfOtherOriginsAreRefusedOnEveryMethod) {
  TestServer server;
  for (const std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    for (const std::string origin :
         {"http://evil.test", "null", "http://localhost:8001", "http://localhost.evil.test", "",
          "localhost:8000", "file://", "http://localhost:8000\r\nOrigin: http://localhost:8000"}) {
      EXPECT_THAT(server.exchange(method + " /open HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: " + origin +
                                  "\r\n\r\n"),
                  IsRefusal(403, "FORBIDDEN"))
          << method << " " << origin;
    }
    if (method == "OPTIONS") continue;
    EXPECT_EQ(
        server
            .exchange(method +
                      " /open HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: http://localhost:8000\r\n\r\n")
            .status,
        200);
  }
}

RawResponse post_typed(TestServer& server, const std::string& type_headers) {
  return server.ask("POST /open HTTP/1.1\r\nContent-Length: 2" + type_headers, "{}");
}

TEST(HostileHttp, ABodyMustBeDeclaredJson) {
  TestServer server;
  for (const std::string type : {"application/json", "Application/JSON", "application/json; charset=utf-8",
                                 "application/json;charset=UTF-8", "application/json; charset=\"utf-8\""}) {
    EXPECT_EQ(post_typed(server, "\r\nContent-Type: " + type).status, 200) << type;
  }
  for (const std::string headers :
       {"", "\r\nContent-Type:", "\r\nContent-Type: text/plain",
        "\r\nContent-Type: application/x-www-form-urlencoded",
        "\r\nContent-Type: multipart/form-data; boundary=x", "\r\nContent-Type: application/jsonx",
        "\r\nContent-Type: application/json; charset=latin1",
        "\r\nContent-Type: application/json, text/plain",
        "\r\nContent-Type: application/json\r\nContent-Type: text/plain",
        "\r\nContent-Type: application/json\r\nContent-Encoding: gzip"}) {
    EXPECT_THAT(post_typed(server, headers), IsRefusal(415, "UNSUPPORTED_MEDIA_TYPE")) << headers;
  }
}

TEST(HostileHttp, WithoutABodyNoTypeIsNeeded) {
  TestServer server;
  EXPECT_EQ(server.ask("POST /open HTTP/1.1").status, 200);
  EXPECT_EQ(server.ask("POST /open HTTP/1.1\r\nContent-Length: 0").status, 200);
  EXPECT_EQ(server.ask("DELETE /open HTTP/1.1").status, 200);
}

TEST(HostileHttp, ErrorsNeverEchoWhatWasSent) {
  TestServer server;
  for (const std::string request :
       {"GET /<script>1</script> HTTP/1.1\r\nHost: localhost", "GET /open HTTP/1.1\r\nHost: <script>",
        "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Type: <script>",
        "GET /open HTTP/1.1\r\nHost: localhost\r\nOrigin: <script>",
        "GET /%00<script> HTTP/1.1\r\nHost: localhost",
        "GET /closed HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer <script>"}) {
    const RawResponse response = server.exchange(request + "\r\n\r\n");
    EXPECT_GE(response.status, 400);
    EXPECT_THAT(response.head + response.body, Not(HasSubstr("script"))) << request;
  }
}

TEST(HostileHttp, LimitsOnTargetAndHeadersHaveTheirOwnAnswers) {
  TestServer server({.target_bytes = 100, .header_bytes = 200});
  const auto target = [](std::size_t size) {
    return "GET /open?" + std::string(size - 6, 'a') + " HTTP/1.1";
  };
  EXPECT_EQ(server.ask(target(100)).status, 200);
  EXPECT_THAT(server.ask(target(101)), IsRefusal(414, "TOO_LARGE"));
  EXPECT_THAT(server.ask(target(100'000)), IsRefusal(414, "TOO_LARGE"));
  EXPECT_EQ(server.ask("GET /open HTTP/1.1\r\nX: " + std::string(150, 'a')).status, 200);
  EXPECT_THAT(server.ask("GET /open HTTP/1.1\r\nX: " + std::string(200, 'a')), IsRefusal(431, "TOO_LARGE"));
  std::string many;
  for (int i = 0; i < 50; ++i) many += "\r\nX: y";
  EXPECT_THAT(server.ask("GET /open HTTP/1.1" + many), IsRefusal(431, "TOO_LARGE"));
}

TEST(HostileHttp, A64KilobyteHeaderIs431) {
  TestServer server;
  EXPECT_THAT(server.ask("GET /open HTTP/1.1\r\nX: " + std::string(64 * 1024, 'a')),
              IsRefusal(431, "TOO_LARGE"));
}

TEST(HostileHttp, TheClientCanReadThatItsBodyWasTooLarge) {
  TestServer server;
  RawClient client = server.connect();
  const std::string body(8 * 1024 * 1024, ' ');
  client.send(with_headers("Content-Length: " + std::to_string(body.size()), body));
  EXPECT_THAT(client.read_response().value(), IsRefusal(413, "TOO_LARGE"));
}

TEST(HostileHttp, TheLimitHoldsForChunksToo) {
  TestServer server({.body_bytes = 4});
  const auto chunk = [](std::string_view bytes) { return "1\r\n" + std::string(bytes) + "\r\n"; };
  const std::string four = chunk("1") + chunk("2") + chunk("3") + chunk("4");
  EXPECT_THAT(server.exchange(with_headers("Transfer-Encoding: chunked", four + "0\r\n\r\n")),
              Shows("POST /open {} ? 1234"));
  EXPECT_THAT(server.exchange(with_headers("Transfer-Encoding: chunked", four + chunk("5") + "0\r\n\r\n")),
              IsRefusal(413, "TOO_LARGE"));
  EXPECT_THAT(server.exchange(with_headers("Transfer-Encoding: chunked", "ffffffff\r\n")),
              IsRefusal(413, "TOO_LARGE"));
  EXPECT_EQ(server.exchange(with_headers("Content-Length: 4", "1234")).status, 200);
  EXPECT_EQ(server.exchange(with_headers("Content-Length: 5", "12345")).status, 413);
}

TEST(HostileHttp, ASlowHeadIs408AndThenTheEnd) {
  TestServer server({.header_timeout = milliseconds(50)});
  RawClient client = server.connect();
  client.send("GET /open HTTP/1.1\r\nHost: loc");
  EXPECT_THAT(client.read_response().value(), IsRefusal(408, "REQUEST_TIMEOUT"));
  EXPECT_TRUE(client.is_closed());
}

TEST(HostileHttp, ADrippingHeadDoesNotMoveTheDeadline) {
  TestServer server({.header_timeout = milliseconds(100)});
  RawClient client = server.connect();
  client.send("GET /open HTTP/1.1\r\nHost: localhost\r\n");
  while (client.send("X: y\r\n") && !client.has_input(milliseconds(5))) {
  }
  EXPECT_THAT(client.read_response().value(), IsRefusal(408, "REQUEST_TIMEOUT"));
}

TEST(HostileHttp, ASlowBodyIs408) {
  TestServer server({.body_timeout = milliseconds(50)});
  RawClient client = server.connect();
  client.send(with_headers("Content-Length: 10", "{"));
  EXPECT_THAT(client.read_response().value(), IsRefusal(408, "REQUEST_TIMEOUT"));
  EXPECT_TRUE(client.is_closed());
}

TEST(HostileHttp, SilentAndIdleConnectionsAreClosedWithoutAWord) {
  TestServer server({.header_timeout = milliseconds(50), .idle_timeout = milliseconds(50)});
  RawClient silent = server.connect();
  EXPECT_TRUE(silent.is_closed());
  RawClient idle = server.connect();
  idle.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(idle.read_response().value().status, 200);
  EXPECT_TRUE(idle.is_closed());
}

TEST(HostileHttp, ARequestCutOffIsNotHandled) {
  TestServer server;
  { server.connect().send(with_headers("Content-Length: 10", "{")); }
  { server.connect().send("GET /op"); }
  EXPECT_EQ(server.ask("GET /open HTTP/1.1").status, 200);
}

}  // namespace
}  // namespace ktrdr::http
