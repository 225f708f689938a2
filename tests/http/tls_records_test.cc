#include <doctest/doctest.h>

#include "tests/http/forged_records.h"

namespace gatehouse::testing {
namespace {

using http::Request;
using http::Respond;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

// What may come in a record without being a request.
struct Kind {
  const char* name;
  int version;
  std::string (*make)(ForgedRecords& records);
};

const Kind kKinds[] = {
    {"KeyUpdate", TLS1_3_VERSION, [](ForgedRecords& records) { return records.key_update(); }},
    {"KeyUpdate that asks for one", TLS1_3_VERSION,
     [](ForgedRecords& records) { return records.key_update(true); }},
    {"empty record of 1.3", TLS1_3_VERSION,
     [](ForgedRecords& records) { return records.record(ContentType::application_data, ""); }},
    {"user_canceled of 1.3", TLS1_3_VERSION,
     [](ForgedRecords& records) { return records.record(ContentType::alert, "\x01\x5a"); }},
    {"ChangeCipherSpec of 1.3", TLS1_3_VERSION,
     [](ForgedRecords&) { return std::string("\x14\x03\x03\x00\x01\x01", 6); }},
    {"KeyUpdate in fragments", TLS1_3_VERSION,
     [](ForgedRecords& records) { return records.record(ContentType::handshake, "\x18"); }},
    {"empty record of 1.2", TLS1_2_VERSION,
     [](ForgedRecords& records) { return records.record(ContentType::application_data, ""); }},
    {"warning of 1.2", TLS1_2_VERSION,
     [](ForgedRecords& records) { return records.record(ContentType::alert, "\x01\x5a"); }},
    {"renegotiation of 1.2", TLS1_2_VERSION,
     [](ForgedRecords& records) {
       return records.record(ContentType::handshake, std::string("\x01\0\0\0", 4));
     }},
    {"ChangeCipherSpec of 1.2", TLS1_2_VERSION,
     [](ForgedRecords& records) {
       return records.record(ContentType::change_cipher_spec, "\x01");
     }},
};

TEST_CASE("a client that sends records without data is cut off after a few, whatever they are") {
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.name);
    Served served(echo, {.idle = std::chrono::seconds(60)}, {tls_listener(server_identity())});
    ForgingClient attacker(served.connect(), kind.version);
    std::string prepared;
    for (int i = 0; i < 20'000; ++i) prepared += kind.make(*attacker.records);
    attacker.send(prepared);  // refused somewhere on the way
    attacker.client.receive_to_end();
    CHECK(eventually([&] { return served.engine.stats().connections == 0; }));
    auto honest = served.connect();
    REQUIRE(honest.start_tls(client_context().get()));
    CHECK(honest.ask(kGet).status == 200);
  }
}

TEST_CASE("a mix of records without data that OpenSSL bears one by one is cut off too") {
  Served served(echo, {}, {tls_listener(server_identity())});
  ForgingClient attacker(served.connect(), TLS1_3_VERSION);
  std::string prepared;
  for (int i = 0; i < 40; ++i) prepared += kKinds[i % 3].make(*attacker.records);
  attacker.send(prepared);
  attacker.client.receive_to_end();
  CHECK(eventually([&] { return served.engine.stats().refused == 1; }));
  CHECK(served.logged("too many TLS records without data"));
}

TEST_CASE("data between records without data buys nothing before the request is complete") {
  Served served(echo, {}, {tls_listener(server_identity())});
  ForgingClient attacker(served.connect(), TLS1_3_VERSION);
  std::string prepared;
  for (const char octet : kGet) {
    prepared += attacker.records->key_update();
    prepared += attacker.records->key_update();
    prepared += attacker.records->record(ContentType::application_data, std::string(1, octet));
  }
  attacker.send(prepared);
  CHECK(attacker.client.receive().status == 0);
  CHECK(eventually([&] { return served.engine.stats().refused == 1; }));
}

TEST_CASE("a connection that lives long may renew its keys as long as it makes requests") {
  Served served(echo, {}, {tls_listener(server_identity())});
  ForgingClient honest(served.connect(), TLS1_3_VERSION);
  for (int round = 0; round < 30; ++round) {
    std::string sent;
    for (int i = 0; i < 10; ++i) sent += honest.records->key_update();
    sent += honest.records->record(ContentType::application_data, kGet);
    REQUIRE(honest.send(sent));
    REQUIRE(honest.client.receive().status == 200);
  }
}

TEST_CASE("a handshake in many records is cut off, one in a few is made") {
  Served served(echo, {}, {tls_listener(server_identity())});
  const auto hello = [] {
    const auto context = client_context();
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
    SSL_set_tlsext_host_name(ssl.get(), std::string(200, 'a').c_str());
    SSL_connect(ssl.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    return std::string(data, static_cast<std::size_t>(size)).substr(5);
  }();
  const auto in_records_of = [&](std::size_t size) {
    std::string octets;
    for (std::size_t at = 0; at < hello.size(); at += size) {
      const auto piece = hello.substr(at, size);
      octets += "\x16\x03\x01" + big_endian(piece.size(), 2) + piece;
    }
    return octets;
  };
  REQUIRE(hello.size() > http::Limits{}.header_count * 3);
  auto single = served.connect();
  single.send(in_records_of(1));
  single.receive_to_end();
  CHECK(eventually([&] { return served.engine.stats().refused == 1; }));
  auto few = served.connect();
  few.send(in_records_of(16));
  char octet = 0;
  REQUIRE(recv(few.socket(), &octet, 1, 0) == 1);
  CHECK(octet == 0x16);  // ServerHello
}

TEST_CASE("clients that send requests octet by octet take turns with the others") {
  Guarded<std::vector<std::string>> handled;
  Guarded<bool> released;
  // On the one thread of the loop, so that what is sent meanwhile is all there when it goes on.
  Served served(
      [&](Request request, Respond respond) {
        handled.with([&](auto& all) { all.push_back(request.target); });
        handled.notify_all();
        if (request.target == "/wait") released.wait([](bool go) { return go; }, [](bool) {});
        respond(text_response("here"));
      },
      {}, {tls_listener(server_identity())}, 1);
  constexpr std::size_t kBody = 4'000;
  const std::string head =
      "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n";
  std::vector<std::unique_ptr<ForgingClient>> slow;
  std::vector<std::string> prepared(4);
  for (auto& octets : prepared) {
    slow.push_back(std::make_unique<ForgingClient>(served.connect(), TLS1_3_VERSION));
    auto& records = *slow.back()->records;
    octets = records.record(ContentType::application_data, head);
    for (std::size_t i = 0; i < kBody; ++i) {
      octets += records.record(ContentType::application_data, "x");
    }
  }
  const auto context = client_context();
  auto holder = served.connect();
  REQUIRE(holder.start_tls(context.get()));
  auto honest = served.connect();
  REQUIRE(honest.start_tls(context.get()));
  holder.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  handled.wait([](auto& all) { return !all.empty(); }, [](auto&) {});
  for (std::size_t i = 0; i < slow.size(); ++i) REQUIRE(slow[i]->send(prepared[i]));
  honest.send(kGet);
  released.with([](bool& go) { go = true; });
  released.notify_all();
  CHECK(honest.receive().status == 200);
  for (const auto& each : slow) CHECK(each->client.receive().status == 200);
  CHECK(handled.with([](auto& all) { return all.at(1); }) == "/a");
}

}  // namespace
}  // namespace gatehouse::testing
