// CaresResolver against a scripted DNS server on loopback.
#include "acme-server/net/cares_resolver.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/dns_server.h"
#include "tests/support/no_descriptors.h"

namespace gatehouse::net {

namespace {

using testing::DnsQuestion;
using testing::DnsServer;
using Kind = DnsError::Kind;

constexpr int kNoError = 0x8180;

Deadline soon() {
  return Deadline::in(std::chrono::seconds(20));
}

Bytes ten(const DnsQuestion&, ByteView question) {
  return DnsServer::message(kNoError, question, 1, DnsServer::record(1, {10, 0, 0, 1}));
}

struct Client {
  OsEntropy entropy;
  CaresResolver resolver;

  explicit Client(const DnsServer& server, DnsTransport transport = DnsTransport::automatic,
                  int tries = 1)
      : resolver({.servers = {server.endpoint()}, .transport = transport, .tries = tries},
                 entropy) {}

  Expected<DnsAnswer, DnsError> ask(const std::string& name, RecordType type = RecordType::A,
                                    Deadline deadline = soon()) {
    return resolver.query(name, type, deadline);
  }
};

std::vector<Question> questions_for(const std::vector<std::string>& names, Deadline deadline) {
  std::vector<Question> questions;
  for (const std::string& name : names) {
    questions.push_back({.name = name, .type = RecordType::A, .deadline = deadline});
  }
  return questions;
}

}  // namespace

TEST_CASE("response codes come back as kinds of failure, over UDP and TCP") {
  const struct {
    int flags;
    Kind kind;
  } rows[] = {{kNoError, Kind::no_data},
              {kNoError | 2, Kind::servfail},
              {kNoError | 3, Kind::nxdomain},
              {kNoError | 5, Kind::refused}};

  for (const auto transport : {DnsTransport::udp, DnsTransport::tcp}) {
    for (const auto& row : rows) {
      DnsServer server([&](const DnsQuestion&, ByteView question) {
        return DnsServer::message(row.flags, question, 0);
      });
      const auto answer = Client(server, transport).ask("a.test");
      REQUIRE_FALSE(answer);
      CHECK(answer.error().kind == row.kind);
    }
  }
}

TEST_CASE("a silent server costs no more than the deadline") {
  DnsServer server([](const DnsQuestion&, ByteView) { return Bytes{}; });
  const auto answer =
      Client(server, DnsTransport::udp)
          .ask("a.test", RecordType::A, Deadline::in(std::chrono::milliseconds(50)));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == Kind::timeout);
  CHECK(answer.error().detail == "no resolver answered in time for the A records of a.test; " +
                                     server.endpoint() + " was asked last");
}

TEST_CASE("a server that is not there is unreachable") {
  const testing::LoopbackSocket bound(SOCK_STREAM);
  OsEntropy entropy;
  CaresResolver resolver(
      {.servers = {bound.endpoint()}, .transport = DnsTransport::tcp, .tries = 2}, entropy);
  const auto answer = resolver.query("a.test", RecordType::A, soon());
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == Kind::unreachable);
}

TEST_CASE("out of descriptors, a question fails as ours and not as the name's") {
  for (const auto transport : {DnsTransport::udp, DnsTransport::tcp}) {
    DnsServer server(ten);
    Client client(server, transport);
    REQUIRE(client.ask("a.test"));  // its channel is kept for the next
    const auto thrown = testing::thrown_without_descriptors([&] { (void)client.ask("b.test"); });
    REQUIRE(thrown);
    CHECK_THROWS_AS(std::rethrow_exception(thrown), std::system_error);
    CHECK(client.ask("b.test"));
  }
}

TEST_CASE("out of descriptors, a question does not go to servers that nobody named") {
  OsEntropy entropy;
  CaresResolver resolver({.servers = {}, .system_config = "/dev/null", .tries = 1}, entropy);
  const auto thrown = testing::thrown_without_descriptors(
      [&] { (void)resolver.query("a.test", RecordType::A, soon()); });
  REQUIRE(thrown);
  CHECK_THROWS_WITH_AS(std::rethrow_exception(thrown), doctest::Contains("cannot open /dev/null"),
                       std::system_error);
}

TEST_CASE("a failure is asked again, NXDOMAIN is final") {
  int asked = 0;
  DnsServer server([&](const DnsQuestion& asked_now, ByteView question) {
    ++asked;
    if (asked_now.name == "none.test") return DnsServer::message(kNoError | 3, question, 0);
    return asked < 3 ? DnsServer::message(kNoError | 2, question, 0) : ten(asked_now, question);
  });
  Client client(server, DnsTransport::udp, 3);
  CHECK(client.ask("a.test"));
  CHECK(server.questions().size() == 3);
  CHECK(client.ask("none.test").error().kind == Kind::nxdomain);
  CHECK(server.questions().size() == 4);
}

TEST_CASE("each transport is used where it was chosen") {
  DnsServer server(ten);
  REQUIRE(Client(server, DnsTransport::automatic).ask("a.test"));
  REQUIRE(Client(server, DnsTransport::udp).ask("a.test"));
  REQUIRE(Client(server, DnsTransport::tcp).ask("a.test"));
  const auto questions = server.questions();
  REQUIRE(questions.size() == 3);
  CHECK_FALSE(questions[0].tcp);  // loopback
  CHECK_FALSE(questions[1].tcp);
  CHECK(questions[2].tcp);
  CHECK(questions[1].udp_size == 1232);
}

TEST_CASE("an answer cut short over UDP is asked for again over TCP") {
  DnsServer server([](const DnsQuestion& asked, ByteView question) {
    return asked.tcp ? ten(asked, question) : DnsServer::message(kNoError | 0x0200, question, 0);
  });
  const auto answer = Client(server, DnsTransport::udp).ask("a.test");
  REQUIRE(answer);
  CHECK(answer->addresses == std::vector{IpAddress::v4(10, 0, 0, 1)});
  REQUIRE(server.questions().size() == 2);
  CHECK(server.questions()[1].tcp);
}

TEST_CASE("an answer cut short over TCP is none") {
  DnsServer server([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(kNoError | 0x0200, question, 1, DnsServer::record(1, {10, 0, 0, 1}));
  });
  const auto answer = Client(server, DnsTransport::tcp).ask("a.test");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == Kind::truncated);
}

TEST_CASE("text and CAA records come through") {
  DnsServer server([](const DnsQuestion& asked, ByteView question) {
    return asked.type == 16
               ? DnsServer::message(kNoError, question, 1,
                                    DnsServer::record(16, {2, 'a', 'b', 1, 'c'}))
               : DnsServer::message(kNoError, question, 1,
                                    DnsServer::record(257, {128, 3, 't', 'b', 's', 'x'}));
  });
  Client client(server);
  CHECK(client.ask("a.test", RecordType::TXT).value().texts == std::vector<std::string>{"abc"});
  CHECK(client.ask("a.test", RecordType::CAA).value().caa ==
        std::vector<CaaRecord>{{.flags = 128, .tag = "tbs", .value = "x"}});
}

TEST_CASE("each question has a source port and an id of its own") {
  DnsServer server(ten);
  Client client(server, DnsTransport::udp);
  for (int i = 0; i < 64; ++i) REQUIRE(client.ask("a.test"));
  std::set<int> ports;
  std::set<int> ids;
  for (const DnsQuestion& question : server.questions()) {
    ports.insert(question.source_port);
    ids.insert(question.id);
  }
  CHECK(ports.size() > 32);
  CHECK(ids.size() > 48);
}

TEST_CASE("questions asked together have a socket in common, and their answers keep their order") {
  DnsServer server([](const DnsQuestion& asked, ByteView question) {
    return asked.name == "none.test" ? DnsServer::message(kNoError | 3, question, 0)
                                     : ten(asked, question);
  });
  Client client(server, DnsTransport::udp);
  const std::vector<std::string> names = {"a.test", "none.test", "b.test", "a..test", "c.test"};
  std::set<int> ports;
  for (int round = 0; round < 32; ++round) {
    std::vector<std::string> came;
    client.resolver.query_each(questions_for(names, soon()), [&](const auto& answer) {
      came.emplace_back(answer                                  ? "address"
                        : answer.error().kind == Kind::nxdomain ? "none"
                                                                : "bad");
      return true;
    });
    CHECK(came == std::vector<std::string>{"address", "none", "address", "bad", "address"});
    std::set<int> these;
    for (const DnsQuestion& question : server.questions()) these.insert(question.source_port);
    CHECK(server.questions().size() == 4 * (static_cast<std::size_t>(round) + 1));
    ports = these;
  }
  CHECK(ports.size() > 16);
  CHECK(ports.size() <= 32);
}

TEST_CASE("nobody waits for an answer behind the one that decides, nor for a silent server twice") {
  DnsServer server([](const DnsQuestion& asked, ByteView question) {
    return asked.name == "silent.test" ? Bytes{} : ten(asked, question);
  });
  Client client(server, DnsTransport::udp, 3);
  int taken = 0;
  client.resolver.query_each(questions_for({"a.test", "b.test", "silent.test"}, soon()),
                             [&](const auto& answer) {
                               CHECK(answer);
                               return ++taken < 2;
                             });
  CHECK(taken == 2);
  const auto brief = Deadline::in(std::chrono::milliseconds(50));
  std::vector<bool> answered;
  client.resolver.query_each(questions_for({"silent.test", "a.test"}, brief),
                             [&](const auto& answer) {
                               answered.push_back(answer.has_value());
                               return true;
                             });
  CHECK(answered == std::vector{false, true});
}

TEST_CASE("a server that answers once for each connection is asked for the rest one by one") {
  DnsServer server(ten);  // over TCP it does so
  Client client(server, DnsTransport::tcp, 2);
  std::size_t answers = 0;
  client.resolver.query_each(questions_for({"a.test", "b.test", "c.test", "d.test"}, soon()),
                             [&](const auto& answer) {
                               if (answer) ++answers;
                               return true;
                             });
  CHECK(answers == 4);
}

TEST_CASE("names are asked for as they are: no search list, no hosts file, no aliases") {
  const auto folder = std::filesystem::temp_directory_path() / "gatehouse_resolver_test";
  std::filesystem::create_directories(folder);
  const auto aliases = folder / "aliases";
  std::ofstream(aliases) << "plain other.test\n";
  ::setenv("HOSTALIASES", aliases.c_str(), 1);
  ::setenv("LOCALDOMAIN", "corp.test", 1);
  DnsServer server([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(kNoError | 3, question, 0);
  });
  const auto config = folder / "resolv.conf";
  std::ofstream(config) << "search corp.test\nnameserver " << server.endpoint() << "\n";
  OsEntropy entropy;
  CaresResolver resolver({.system_config = config, .tries = 1}, entropy);
  for (const std::string name : {"plain", "localhost", "a.test."}) {
    CHECK(resolver.query(name, RecordType::A, soon()).error().kind == Kind::nxdomain);
  }
  ::unsetenv("HOSTALIASES");
  ::unsetenv("LOCALDOMAIN");
  std::filesystem::remove_all(folder);
  std::vector<std::string> names;
  for (const DnsQuestion& question : server.questions()) names.push_back(question.name);
  CHECK(names == std::vector<std::string>{"plain", "localhost", "a.test"});
}

TEST_CASE("names that DNS cannot hold are not asked for") {
  DnsServer server(ten);
  Client client(server);
  for (const std::string& name : {std::string("a..test"), std::string(64, 'a') + ".test",
                                  std::string("a\0.test", 7), std::string(300, 'a')}) {
    const auto answer = client.ask(name);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::bad_name);
  }
  CHECK(server.questions().empty());
}

TEST_CASE("the servers are shared out at random, and the next one is asked when one fails") {
  DnsServer good(ten);
  DnsServer bad([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(kNoError | 2, question, 0);
  });
  OsEntropy entropy;
  CaresResolver resolver({.servers = {good.endpoint(), bad.endpoint()}, .tries = 2}, entropy);
  for (int i = 0; i < 64; ++i) CHECK(resolver.query("a.test", RecordType::A, soon()));
  CHECK(good.questions().size() == 64);
  CHECK(bad.questions().size() > 8);
  CHECK(bad.questions().size() < 56);
}

TEST_CASE("options that make no sense are named") {
  OsEntropy entropy;
  CHECK_THROWS_WITH_AS(CaresResolver({.servers = {"dns.test"}}, entropy),
                       "dns.servers: \"dns.test\" is not an address and port: write 192.0.2.1:53 "
                       "or [2001:db8::1]:53",
                       std::runtime_error);
  CHECK_THROWS_AS(CaresResolver({.tries = 0}, entropy), std::runtime_error);
}

TEST_CASE("every question asks for the AD bit, and an answer keeps it") {
  for (const bool proven : {false, true}) {
    DnsServer server([&](const DnsQuestion&, ByteView question) {
      return DnsServer::message(kNoError | (proven ? 0x20 : 0), question, 1,
                                DnsServer::record(1, {10, 0, 0, 1}));
    });
    Client client(server);
    CHECK(client.ask("a.test").value().authenticated == proven);
    CHECK(server.questions().front().authentic_data);
  }
}

TEST_CASE("who answers for the signed name with the AD bit validates, with records or without") {
  struct Row {
    int flags;
    bool validates;
  };

  for (const Row& row :
       {Row{kNoError | 0x20, true}, Row{kNoError | 0x23, true}, Row{kNoError, false},
        Row{kNoError | 3, false}, Row{kNoError | 0x22, false}, Row{kNoError | 2, false},
        Row{kNoError | 0x25, false}}) {
    CAPTURE(row.flags);
    DnsServer server([&](const DnsQuestion&, ByteView question) {
      return DnsServer::message(row.flags, question, 0);
    });
    const auto why = Client(server).resolver.why_not_validating(".", soon());
    CHECK(why.has_value() != row.validates);
    if (why) CHECK(why->why.find(server.endpoint()) != std::string::npos);
    REQUIRE(server.questions().size() == 1);
    CHECK(server.questions().front().name.empty());
    CHECK(server.questions().front().type == 6);
  }
}

TEST_CASE("each resolver is asked whether it validates, and the one that does not is named") {
  DnsServer good([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(kNoError | 0x20, question, 0);
  });
  DnsServer bad([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(kNoError, question, 0);
  });
  OsEntropy entropy;
  CaresResolver resolver({.servers = {good.endpoint(), bad.endpoint()}}, entropy);
  const auto why = resolver.why_not_validating("signed.test", soon());
  REQUIRE(why);
  CHECK(why->why.find(bad.endpoint() + " does not validate DNSSEC") != std::string::npos);
  CHECK(good.questions().size() == 1);
  CHECK(resolver.why_not_validating("signed.test", Deadline::in(std::chrono::milliseconds(0))));
}

}  // namespace gatehouse::net
