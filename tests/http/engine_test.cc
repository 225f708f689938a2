#include "acme-server/http/engine.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "acme-server/base/json.h"
#include "tests/http/served.h"

namespace gatehouse::testing {
namespace {

using http::Request;
using http::Respond;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

// What an attacker hopes will be taken for a request of its own.
const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

std::string post(const std::string& fields, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

TEST_CASE("a doubtful request is answered 400, and what stands behind it never") {
  struct Row {
    const char* what;
    std::string sent;
  };

  const Row rows[] = {
      {"xchunked", post("Transfer-Encoding: xchunked\r\n", "")},
      {"gzip", post("Transfer-Encoding: gzip\r\n", "")},
      {"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")},
      {"fold before chunked", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")},
      {"chunked in 1.0",
       "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"chunked and a length",
       post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")},
      {"two lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab")},
      {"list of lengths", post("Content-Length: 2, 2\r\n", "ab")},
      {"length with junk", post("Content-Length: 2x\r\n", "ab")},
      {"blank before colon", post("Content-Length : 2\r\n", "ab")},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"0xFF in the target", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"foreign target", "GET http://b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n"},
      {"authority-form", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nNonsense\r\n\r\n"},
      {"NUL", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 34)},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"TLS to a plain port", "\x16\x03\x01\x02\x05\x01"},
      {"huge chunk extension", post("Transfer-Encoding: chunked\r\n",
                                    "1;" + std::string(2000, 'e') + "\r\nx\r\n0\r\n\r\n")},
      {"trailers",
       post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")},
      {"bare LF in a chunk", post("Transfer-Encoding: chunked\r\n", "1\nx\n0\n\n")},
      {"bad chunk extension", post("Transfer-Encoding: chunked\r\n", "1;\r\nx\r\n0\r\n\r\n")},
  };
  Served served(echo);
  for (const Row& row : rows) {
    CAPTURE(row.what);
    auto client = served.connect();
    client.send(row.sent + kSmuggled);
    const Answer answer = client.receive();
    CHECK(answer.status == 400);
    CHECK(answer.field("Connection") == "close");
    CHECK(answer.field("Content-Type") == "application/problem+json");
    CHECK(parse_json(answer.body)["status"] == 400);
    CHECK(client.ended());
  }
  CHECK(served.engine.stats().handled == 0);
  CHECK(served.engine.stats().rejected == std::size(rows));
}

TEST_CASE("a request is the same wherever its octets are cut, and so is the one behind it") {
  const std::string chunked =
      post("Transfer-Encoding: chunked\r\n", "3;e=v\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") + kGet;
  const std::string sized = post("Content-Length: 5\r\n", "abcde") + kGet;
  Served served(echo);
  for (const std::string& sent : {chunked, sized}) {
    for (std::size_t cut = 1; cut < sent.size(); ++cut) {
      CAPTURE(cut);
      auto client = served.connect();
      client.send(sent.substr(0, cut));
      client.send(sent.substr(cut));
      CHECK(client.receive().body == "POST /x [abcde]");
      CHECK(client.receive().body == "GET /a []");
    }
    auto drip = served.connect();
    for (const char c : sent) drip.send({&c, 1});
    CHECK(drip.receive().body == "POST /x [abcde]");
    CHECK(drip.receive().body == "GET /a []");
  }
}

TEST_CASE(
    "two chunked requests cut between CR and LF leave the server idle and honest clients served") {
  Served served(echo);
  auto first = served.connect();
  auto second = served.connect();
  for (Client* client : {&first, &second}) {
    client->send(post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r"));
  }
  CHECK(served.connect().ask(kGet).status == 200);
  for (Client* client : {&first, &second}) {
    client->send("\n0\r\n\r\n");
    CHECK(client->receive().body == "POST /x [abc]");
  }
}

TEST_CASE("pipelined requests are answered in their order") {
  Held held;
  Served served(held.handler());
  auto client = served.connect();
  std::string all;
  for (int i = 0; i < 50; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    auto [request, respond] = held.next();
    CHECK(request.target == "/" + std::to_string(i));
    CHECK(held.count() == 0);  // one at a time: an answer cannot overtake another
    respond(text_response(request.target));
    CHECK(client.receive().body == "/" + std::to_string(i));
  }
}

TEST_CASE("a request says what came, and who sent it") {
  Held held;
  Served served(held.handler());
  auto client = served.connect();
  client.send(
      "PATCH /x?y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nContent-Length: 2\r\n\r\nhi");
  auto [request, respond] = held.next();
  CHECK(request.listener == "acme");
  CHECK(request.method == "PATCH");
  CHECK(request.target == "/x?y");
  CHECK(request.body == "hi");
  CHECK(*http::find_header(request.headers, "x-forwarded-for") == "9.9.9.9");
  CHECK(request.peer.address == "127.0.0.1");
  CHECK(request.peer.port != 0);
  CHECK(request.peer.tls_version.empty());
  CHECK_FALSE(request.peer.uid);
  respond({.status = 204, .headers = {}, .body = nullptr});
  CHECK(client.receive().status == 204);
}

TEST_CASE("HEAD, 204 and 304 have no body, and the next answer follows at once") {
  Served served([](Request request, Respond respond) {
    auto response = text_response("hello");
    if (request.target != "/200") response.status = std::stoi(request.target.substr(1));
    respond(std::move(response));
  });
  auto client = served.connect();
  client.send(
      "HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\nGET /204 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /200 HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n");
  const Answer head = client.receive(true);
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5");
  const Answer no_content = client.receive();
  CHECK(no_content.status == 204);
  CHECK(no_content.field("Content-Length") == "<none>");
  CHECK(client.receive().status == 304);
  CHECK(client.receive().body == "hello");
  CHECK(client.ended());
}

TEST_CASE("HTTP/1.0 closes unless asked to stay") {
  Served served(echo);
  auto closing = served.connect();
  CHECK(closing.ask("GET / HTTP/1.0\r\n\r\n").field("Connection") == "close");
  CHECK(closing.ended());
  auto staying = served.connect();
  const std::string request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  CHECK(staying.ask(request).field("Connection") == "keep-alive");
  CHECK(staying.ask(request).status == 200);
}

TEST_CASE("100 Continue is sent to who waits for it, and to nobody else") {
  Served served(echo);
  const std::string head =
      "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ";
  auto client = served.connect();
  CHECK(client.ask(head + "2\r\n\r\n").status == 100);
  CHECK(client.ask("ab").body == "POST /x [ab]");

  auto hasty = served.connect();
  CHECK(hasty.ask(head + "2\r\n\r\nab").status == 200);

  auto greedy = served.connect();
  CHECK(greedy.ask(head + "65537\r\n\r\n").status == 413);
  CHECK(greedy.ended());
}

TEST_CASE("an answer whose header a value would forge is a logged 500") {
  Served served([](Request, Respond respond) {
    respond({.status = 200, .headers = {{"Location", "/\r\nSet-Cookie: x=y"}}, .body = nullptr});
  });
  auto client = served.connect();
  const Answer answer = client.ask(kGet);
  CHECK(answer.status == 500);
  CHECK(answer.head.find("Set-Cookie") == std::string::npos);
  CHECK(served.logged("http.bad_answer"));
}

TEST_CASE("a handler that throws or forgets is answered for") {
  Served served([](Request request, Respond) {
    if (request.target == "/a") throw std::runtime_error("bug");
  });
  auto client = served.connect();
  CHECK(client.ask(kGet).status == 500);
  CHECK(served.logged("http.handler_failed"));
  CHECK(client.ask("GET /b HTTP/1.1\r\nHost: a\r\n\r\n").status == 500);
  CHECK(eventually([&] { return served.engine.stats().in_flight == 0; }));
}

TEST_CASE("only the first answer counts, from whatever thread") {
  Held held;
  Served served(held.handler());
  auto client = served.connect();
  for (int round = 0; round < 20; ++round) {
    client.send(kGet);
    auto [request, respond] = held.next();
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([answer = respond, i] { answer(text_response(std::to_string(i))); });
    }
    threads.clear();
    CHECK(client.receive().body.size() == 1);
  }
  client.finish_writing();
  CHECK(client.ended());
}

TEST_CASE("the answer for a client that has gone reaches nobody") {
  Held held;
  Served served(held.handler());
  for (int round = 0; round < 10; ++round) {
    auto gone = served.connect();
    gone.send("GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
    auto [request, respond] = held.next();
    gone.reset();
    // Its descriptor's number is the first that is free: whoever comes next would get it.
    std::vector<Client> others;
    for (int i = 0; i < 5; ++i) {
      others.push_back(served.connect());
      others.back().send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    respond(text_response("secret"));
    respond(text_response("secret again"));
    std::vector<Held::Pair> pairs;
    for (int i = 0; i < 5; ++i) pairs.push_back(held.next());
    for (auto& [asked, answer] : pairs) answer(text_response(asked.target));
    for (int i = 0; i < 5; ++i) {
      CHECK(others[static_cast<std::size_t>(i)].receive().body == "/" + std::to_string(i));
    }
  }
}

TEST_CASE("an answer after the engine's end does nothing") {
  Held held;
  std::optional<Held::Pair> late;
  {
    Served served(held.handler(), {.drain = std::chrono::milliseconds(50)});
    auto client = served.connect();
    client.send(kGet);
    late = held.next();
    CHECK_FALSE(served.engine.drain_and_stop());
    CHECK(client.ended());
  }
  late->second(text_response("late"));
}

TEST_CASE("a client that has closed its half still gets its answer") {
  Held held;
  Served served(held.handler());
  auto client = served.connect();
  client.send(kGet);
  client.finish_writing();
  held.next().second(text_response("here"));
  CHECK(client.receive().body == "here");
  CHECK(client.ended());
}

TEST_CASE("a large body is shared with the handler, not copied") {
  const auto body = shared_text(std::string(20'000'000, 'x'));
  Served served(
      [&](Request, Respond respond) { respond({.status = 200, .headers = {}, .body = body}); });
  auto client = served.connect();
  client.send(kGet);
  CHECK(eventually([&] { return body.use_count() > 1; }));
  const Answer answer = client.receive();
  CHECK(answer.body.size() == body->size());
  CHECK(answer.body == *body);
  CHECK(client.ask(kGet).body.size() == body->size());
}

}  // namespace
}  // namespace gatehouse::testing
