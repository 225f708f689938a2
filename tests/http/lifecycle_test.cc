#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "acme-server/base/check.h"
#include "tests/http/served.h"

namespace gatehouse::testing {
namespace {

using http::Listener;
using http::Request;
using http::Respond;
using std::chrono::milliseconds;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

class Folder {
 public:
  Folder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gatehouse-http-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }

  ~Folder() { std::filesystem::remove_all(path_); }

  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

Listener unix_listener(const std::string& path, std::uint32_t mode = 0600) {
  return {.name = "control",
          .address = http::UnixAddress{.path = path, .mode = mode},
          .tls = std::nullopt,
          .origins = {}};
}

Listener tcp_listener(const std::string& address, std::uint16_t port = 0) {
  return {.name = "acme",
          .address = http::TcpAddress{.address = address, .port = port},
          .tls = std::nullopt,
          .origins = {}};
}

TEST_CASE("what cannot be bound is told by listener and address, and nothing is served") {
  const Folder folder;
  Served taken(echo);
  const auto port = taken.addresses[0].port;
  std::filesystem::path file = folder.file("file");
  close(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  auto bad_tls = plain_listener();
  bad_tls.tls = http::TlsOptions{};
  Listener inherited = plain_listener();
  inherited.address = http::InheritedSocket{.descriptor = pair[0]};
  Listener closed = plain_listener();
  closed.address = http::InheritedSocket{.descriptor = 99999};

  struct Row {
    Listener listener;
    std::string says;
  };

  const Row rows[] = {
      {tcp_listener("127.0.0.1", port),
       "listener \"acme\" cannot listen on 127.0.0.1:" + std::to_string(port)},
      {tcp_listener("localhost"), "not an IP literal"},
      {tcp_listener("203.0.113.1"), "203.0.113.1"},
      {unix_listener(folder.file("missing/socket")), folder.file("missing/socket")},
      {unix_listener(file), "no socket"},
      {unix_listener(std::string(200, 'x')), "characters"},
      {bad_tls, "holds no certificate"},
      {inherited, "does not listen"},
      {closed, "descriptor 99999"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    ManualClock clock;
    Log log;
    Metrics metrics;
    http::Engine engine({}, clock, log, metrics);
    auto good = unix_listener(folder.file("good"));
    good.name = "good";
    CHECK_THROWS_WITH_AS(engine.start({good, row.listener}, echo),
                         doctest::Contains(row.says.c_str()), std::runtime_error);
    CHECK_FALSE(std::filesystem::exists(folder.file("good")));
    CHECK(engine.drain_and_stop());
  }
  close(pair[0]);
  close(pair[1]);
  ManualClock clock;
  Log log;
  Metrics metrics;
  http::Engine engine({}, clock, log, metrics);
  CHECK_THROWS_WITH_AS(engine.start({plain_listener(), plain_listener()}, echo),
                       doctest::Contains("two listeners"), std::runtime_error);
}

TEST_CASE("a unix socket has its mode, knows its client, and is removed at the end") {
  const Folder folder;
  const auto path = folder.file("control");
  Held held;
  {
    Served served(held.handler(), {}, {unix_listener(path, 0640)});
    CHECK(served.addresses[0].unix_path == path);
    struct stat info{};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0640);
    auto client = served.connect();
    client.send(kGet);
    auto [request, respond] = held.next();
    CHECK(request.listener == "control");
    CHECK(request.peer.uid == getuid());
    CHECK(request.peer.address.empty());
    respond(text_response("hi"));
    CHECK(client.receive().body == "hi");

    // A live socket is not taken from its owner.
    CHECK_THROWS_WITH_AS(Served(echo, {}, {unix_listener(path)}),
                         doctest::Contains("another process"), std::runtime_error);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a unix socket closes whoever is not among its users, and says so in the log") {
  const Folder folder;
  Listener others = unix_listener(folder.file("others"));
  others.uids = {getuid() + 1};
  Listener ours = unix_listener(folder.file("ours"));
  ours.name = "ours";
  ours.uids = {getuid() + 1, getuid()};
  Listener tcp = plain_listener("tcp");  // no user stands behind TCP
  tcp.uids = {getuid()};
  Served served(echo, {}, {others, ours, tcp});
  CHECK(served.connect(0).ended());
  CHECK(served.connect(0).ended());
  CHECK(served.connect(1).ask(kGet).status == 200);
  CHECK(served.connect(2).ended());
  CHECK(served.logged("http.peer_refused"));
  CHECK(served.logged("\"uid\":\"" + std::to_string(getuid()) + "\""));
  CHECK(served.logged("\"uid\":\"none\""));
  CHECK(served.engine.stats().refused == 3);
  CHECK(served.engine.stats().handled == 1);
}

TEST_CASE("a dead socket file is replaced") {
  const Folder folder;
  const auto path = folder.file("control");
  {
    const Client dead(AF_UNIX);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof(to.sun_path) - 1);
    REQUIRE(bind(dead.socket(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  Served served(echo, {}, {unix_listener(path)});
  CHECK(served.connect().ask(kGet).status == 200);
}

TEST_CASE("a dual-stack socket shows an IPv4 client as IPv4") {
  Held held;
  Served served(held.handler(), {}, {tcp_listener("::")});
  auto v4 = Client::to(
      {.listener = "", .address = "127.0.0.1", .port = served.addresses[0].port, .unix_path = {}});
  v4.send(kGet);
  auto [request, respond] = held.next();
  CHECK(request.peer.address == "127.0.0.1");
  respond(text_response("4"));
  CHECK(v4.receive().body == "4");
  auto v6 = served.connect();
  v6.send(kGet);
  auto [request6, respond6] = held.next();
  CHECK(request6.peer.address == "::1");
  respond6(text_response("6"));
  CHECK(v6.receive().body == "6");
}

TEST_CASE("an inherited socket is served") {
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listening, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  REQUIRE(listen(listening, 10) == 0);
  Listener listener = plain_listener();
  listener.address = http::InheritedSocket{.descriptor = listening};
  Served served(echo, {}, {std::move(listener)});
  CHECK(served.addresses[0].address == "127.0.0.1");
  CHECK(served.addresses[0].port != 0);
  CHECK(served.connect().ask(kGet).status == 200);
}

TEST_CASE("drain finishes what is in flight and nothing else") {
  Held held;
  Served served(held.handler(), {.drain = std::chrono::seconds(30)},
                {plain_listener("a"), tls_listener(server_identity(), "b")});
  auto idle = served.connect();
  auto idle_tls = served.connect(1);
  REQUIRE(idle_tls.start_tls(client_context().get()));
  auto silent = served.connect(1);
  auto busy = served.connect();
  busy.send(kGet + kGet);
  auto [request, respond] = held.next();
  CHECK(eventually([&] { return served.engine.stats().connections == 4; }));

  bool clean = false;
  std::jthread drain([&] { clean = served.engine.drain_and_stop(); });
  CHECK(idle.ended());
  CHECK(idle_tls.ended());
  CHECK(silent.ended());
  CHECK(eventually([&] { return served.engine.stats().connections == 1; }));
  respond(text_response("done"));
  const Answer answer = busy.receive();
  CHECK(answer.body == "done");
  CHECK(answer.field("Connection") == "close");
  CHECK(busy.ended());  // the request behind it is not begun
  busy.close();
  drain.join();
  CHECK(clean);
  CHECK(served.engine.stats().handled == 1);
  CHECK_THROWS_AS(served.connect(), std::runtime_error);
  CHECK(served.engine.drain_and_stop());
}

TEST_CASE("drain does not wait for ever") {
  Held held;
  Served served(held.handler(), {.drain = milliseconds(50)});
  auto client = served.connect();
  client.send(kGet);
  auto [request, respond] = held.next();
  CHECK_FALSE(served.engine.drain_and_stop());
  CHECK(client.ended());
  CHECK(served.engine.stats().connections == 0);
  CHECK(served.engine.stats().in_flight == 0);
}

TEST_CASE("clients that reset while an answer is on its way do not end the process") {
  Held held;
  Served served(held.handler(), {}, {tls_listener(server_identity())});
  const auto context = client_context();
  for (int i = 0; i < 10; ++i) {
    auto client = served.connect();
    REQUIRE(client.start_tls(context.get()));
    client.send(kGet);
    auto [request, respond] = held.next();
    client.reset();
    respond(text_response(std::string(1'000'000, 'x')));
  }
  CHECK(eventually([&] { return served.engine.stats().connections == 0; }));
}

TEST_CASE("an engine starts once") {
  Served served(echo);
  CHECK_THROWS_AS(served.engine.start({plain_listener("again")}, echo), LogicError);
}

TEST_CASE("the limit of descriptors is raised to what is allowed") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low{.rlim_cur = 64, .rlim_max = before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  const auto raised = http::raise_descriptor_limit();
  rlimit after{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &after) == 0);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(raised == before.rlim_max);
  CHECK(after.rlim_cur == before.rlim_max);
}

TEST_CASE("what the engine counts is in the metrics too") {
  Served served(echo);
  auto client = served.connect();
  CHECK(client.ask(kGet).status == 200);
  CHECK(client.ask("nonsense\r\n\r\n").status == 400);
  const auto text = served.metrics.text();
  CHECK(text.find("gatehouse_http_accepted_total 1\n") != std::string::npos);
  CHECK(text.find("gatehouse_http_handled_total 1\n") != std::string::npos);
  CHECK(text.find("gatehouse_http_rejected_total 1\n") != std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
