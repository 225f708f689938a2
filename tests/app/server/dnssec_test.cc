// DNSSEC behind Debian's unbound: what validates, what does not, and what a server that requires it
// says.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "acme-server/app/server/host.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/socket_dialer.h"
#include "tests/support/dns_server.h"
#include "tests/support/not_run.h"
#include "tests/support/test_server.h"
#include "tests/support/validating_resolver.h"
#include "validators/caa.h"
#include "validators/http01.h"

namespace gatehouse::testing {
namespace {

// True, and said, when a tool is missing.
bool lacks_tools() {
  const auto missing = ValidatingResolver::missing();
  if (missing) not_run("there is no " + *missing);
  return missing.has_value();
}

Deadline patience() {
  return Deadline::in(std::chrono::seconds(20));
}

// A resolver's answers without the bit: as one that forwards and validates nothing.
Bytes plain_answer(const DnsQuestion&, ByteView question) {
  return DnsServer::message(0x8180, question, 0);
}

config::Config config_of(const ServerFolder& folder, const std::string& server) {
  config::Config config = folder.config();
  for (config::ListenerConfig& listener : config.acme) {
    listener.listener.address = http::TcpAddress{.address = "127.0.0.1", .port = 0};
  }
  config.public_files.clear();
  config.operations.clear();
  config.threads = {.http = 1, .requests = 2, .request_queue = 16, .validation = 1, .issuance = 1};
  config.resolver.servers = {server};
  config.dnssec.mode = net::DnssecMode::required;
  return config;
}

// What a host that is given `config` says instead of starting; "" when it starts.
std::string refusal_of(config::Config config) {
  Log log;
  std::vector<config::Config> configs;
  configs.push_back(std::move(config));
  app::Host host(std::move(configs), log, {});
  try {
    host.start();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("behind a validating resolver, CAA of a signed, an unsigned and a forged zone") {
  if (lacks_tools()) return;
  const ValidatingResolver unbound("ca.test");
  OsEntropy entropy;
  net::CaresResolver resolver({.servers = {unbound.endpoint()}}, entropy);
  net::SocketDialer dialer;
  net::Egress egress(resolver, dialer);
  validators::Caa caa(egress);
  const auto check = [&](const std::string& name, const std::string& identity) {
    return caa.check({.identifier = {IdentifierType::dns, name},
                      .wildcard = false,
                      .identities = {identity},
                      .account_urls = {"https://acme.test/1"},
                      .challenge_type = "http-01"},
                     patience());
  };
  CHECK_FALSE(resolver.why_not_validating(".", patience()));
  CHECK_FALSE(
      resolver.why_not_validating("www.signed.test", patience()));  // there is no SOA: proven

  const auto good = check("www.signed.test", "ca.test");
  CHECK_FALSE(good.problem);
  CHECK(good.trail == std::vector<std::string>{"CAA www.signed.test: none",
                                               "CAA signed.test: 0 issue \"ca.test\" (DNSSEC)",
                                               "CAA permits it"});
  CHECK(check("www.signed.test", "other.test").problem->type == ProblemType::caa);

  const auto plain = check("www.plain.test", "ca.test");
  CHECK_FALSE(plain.problem);
  CHECK(plain.trail[1] == "CAA plain.test: 0 issue \"ca.test\"");
  CHECK(
      resolver.why_not_validating("plain.test", patience())->why.find("does not validate DNSSEC") !=
      std::string::npos);

  const auto bogus = check("www.bogus.test", "ca.test");
  REQUIRE(bogus.problem);
  CHECK(bogus.problem->type == ProblemType::dns);
  CHECK(bogus.problem->detail.find("SERVFAIL for the CAA records of bogus.test") !=
        std::string::npos);
  CHECK(bogus.problem->detail.find("DNSSEC does not verify") != std::string::npos);
}

TEST_CASE("a server that requires DNSSEC starts with a resolver that validates") {
  if (lacks_tools()) return;
  const ValidatingResolver unbound("ca.test");
  ManualClock clock(from_unix(::time(nullptr)));
  const ServerFolder folder(clock);
  CHECK(refusal_of(config_of(folder, unbound.endpoint())) == "");
}

TEST_CASE("a server that requires DNSSEC does not start with one that does not, and says which") {
  ManualClock clock(from_unix(::time(nullptr)));
  const ServerFolder folder(clock);
  const DnsServer plain(plain_answer);
  const std::string why = refusal_of(config_of(folder, plain.endpoint()));
  CHECK(why ==
        "gatehouse.json: resolver.dnssec: is required, and the DNS server " + plain.endpoint() +
            " does not validate DNSSEC: its answer for the SOA record of . comes without the AD "
            "bit; let it validate, name others in resolver.servers, or set resolver.dnssec to "
            "warn");
  const std::string closed = "127.0.0.1:1";
  CHECK(refusal_of(config_of(folder, closed)).find("the DNS server 127.0.0.1:1 gives no answer") !=
        std::string::npos);
}

TEST_CASE("by default such a resolver is logged, and the server starts") {
  ManualClock clock(from_unix(::time(nullptr)));
  const ServerFolder folder(clock);
  const DnsServer plain(plain_answer);
  config::Config config = config_of(folder, plain.endpoint());
  config.dnssec = net::DnssecOptions{};
  Guarded<std::string> logged;
  Log log({.sink = [&](LogLevel, std::string_view line) {
    logged.with([&](std::string& text) { text += line; });
  }});
  std::vector<config::Config> configs;
  configs.push_back(std::move(config));
  app::Host host(std::move(configs), log, {});
  host.start();
  CHECK(host.stop());  // after what is on the lanes
  const std::string text = logged.with([](const std::string& held) { return held; });
  CHECK(text.find("dnssec.not_validating") != std::string::npos);
  CHECK(text.find("without the AD bit") != std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
