// Bodies that go on after the handler has returned, over real sockets.
#include "ktrdr/http/body_stream.h"

#include <thread>

#include "ktrdr/core/synchronized.h"
#include "test_server.h"

namespace ktrdr::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kGet = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";

// GET /stream answers with a stream that the test holds the other end of.
class Streams : public ::testing::Test {
 protected:
  TestServer& server() {
    if (!server_) {
      server_ = std::make_unique<TestServer>(
          limits_, std::vector<Route>{{Method::kGet, "/stream", Access::kPublic, [this](const Request&) {
                                         auto stream = std::make_shared<BodyStream>();
                                         streams_.lock()->push_back(stream);
                                         return Response{.content_type = "text/event-stream",
                                                         .stream = std::move(stream)};
                                       }}});
    }
    return *server_;
  }

  struct Reader {
    RawClient client;
    std::string head;
    std::shared_ptr<BodyStream> stream;
  };
  Reader open(const char* request = kGet) {
    Reader reader{server().connect(), "", nullptr};
    reader.client.send(request);
    reader.head = reader.client.read_until("\r\n\r\n");
    reader.stream = streams_.lock()->back();
    return reader;
  }

  static bool closes(const BodyStream& stream) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (stream.is_open() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return !stream.is_open();
  }

  Limits limits_;
  Synchronized<std::vector<std::shared_ptr<BodyStream>>> streams_;
  std::unique_ptr<TestServer> server_;  // ends first
};

TEST_F(Streams, ABodyGoesOnAsItIsSentUntilItEnds) {
  Reader reader = open();
  EXPECT_THAT(reader.head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(reader.head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(reader.head, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(reader.head, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(reader.head, Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(reader.stream->send("one"));
  EXPECT_EQ(reader.client.read_until("one\r\n"), "3\r\none\r\n");
  EXPECT_TRUE(reader.stream->send("a longer piece"));
  EXPECT_EQ(reader.client.read_until("piece\r\n"), "e\r\na longer piece\r\n");
  reader.stream->send("last");
  reader.stream->end();
  EXPECT_FALSE(reader.stream->send("too late"));
  EXPECT_THAT(reader.client.read_until("0\r\n\r\n"), EndsWith("last\r\n0\r\n\r\n"));
  EXPECT_TRUE(reader.client.is_closed());
}

TEST_F(Streams, WhatIsSentBeforeTheHeadIsOutIsNotLost) {
  auto stream = std::make_shared<BodyStream>();
  stream->send("early");
  stream->end();
  TestServer server({}, {{Method::kGet, "/stream", Access::kPublic, [&](const Request&) {
                            return Response{.content_type = "text/plain", .stream = stream};
                          }}});
  RawClient client = server.connect();
  client.send(kGet);
  EXPECT_THAT(client.read_until("0\r\n\r\n"), EndsWith("5\r\nearly\r\n0\r\n\r\n"));
}

TEST_F(Streams, AReaderThatLeavesIsNoticedWithoutSendingAnything) {
  std::shared_ptr<BodyStream> stream;
  {
    Reader reader = open();
    stream = reader.stream;
    EXPECT_TRUE(stream->is_open());
  }
  EXPECT_TRUE(closes(*stream));
  EXPECT_FALSE(stream->send("x"));
}

TEST_F(Streams, AReaderThatIsStuckIsClosedAndHurtsNobody) {
  Reader stuck = open(), healthy = open();
  const std::string piece(64 * 1024, 'x');
  int sent = 0;
  while (stuck.stream->send(piece) && sent < 10'000) ++sent;  // its system takes some, too
  EXPECT_LT(sent, 10'000);
  EXPECT_FALSE(stuck.stream->is_open());
  EXPECT_TRUE(healthy.stream->send("still here"));
  EXPECT_THAT(healthy.client.read_until("still here"), EndsWith("still here"));
  EXPECT_EQ(server().ask("GET /open HTTP/1.1").status, 200);
}

TEST_F(Streams, StoppingTheServerEndsThem) {
  Reader one = open(), another = open();
  one.stream->send("before");
  server()->stop();
  EXPECT_THAT(one.client.read_until("0\r\n\r\n"), EndsWith("before\r\n0\r\n\r\n"));
  EXPECT_TRUE(one.client.is_closed());
  EXPECT_EQ(another.client.read_until("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_FALSE(one.stream->send("after"));
  server_.reset();
  EXPECT_FALSE(another.stream->send("long after"));
}

TEST_F(Streams, StoppingWaitsForNoReaderThatIsStuck) {
  limits_.stop_timeout = std::chrono::milliseconds(200);
  Reader stuck = open();
  const std::string piece(64 * 1024, 'x');
  for (int i = 0; i < 3; ++i) stuck.stream->send(piece);
  server()->stop();  // returns
  EXPECT_FALSE(stuck.stream->is_open());
}

TEST_F(Streams, TheyAreConnectionsLikeAnyOther) {
  limits_.connections = 2;
  Reader one = open(), another = open();
  EXPECT_EQ(server().ask("GET /open HTTP/1.1").status, 503);
  one.stream->end();
  EXPECT_TRUE(one.client.read_until("0\r\n\r\n").ends_with("0\r\n\r\n"));
}

TEST_F(Streams, WhatTheReaderSendsMeanwhileIsNoRequest) {
  Reader reader = open();
  reader.client.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
  reader.stream->send("piece");
  reader.stream->end();
  EXPECT_EQ(reader.client.read_until("0\r\n\r\n").find("HTTP/1.1"), std::string::npos);
  EXPECT_TRUE(reader.client.is_closed());
}

TEST_F(Streams, OldClientsGetTheBytesAsTheyAre) {
  Reader reader = open("GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(reader.head, Not(HasSubstr("chunked")));
  reader.stream->send("one");
  EXPECT_EQ(reader.client.read_until("one"), "one");
  reader.stream->end();
  EXPECT_TRUE(reader.client.is_closed());
}

TEST_F(Streams, HeadGetsTheHeadOnly) {
  Reader reader = open("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(reader.head, StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(closes(*reader.stream));
  EXPECT_TRUE(reader.client.is_closed());
}

}  // namespace
}  // namespace ktrdr::http
