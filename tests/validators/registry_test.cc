#include "validators/registry.h"

#include <doctest/doctest.h>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "validators/dns01.h"
#include "validators/http01.h"
#include "validators/tls_alpn01.h"

namespace gatehouse::validators {

namespace {

// What check-config says of `text` as the "validators" object; "" if it is fine.
std::string complaint(std::string_view text) {
  const Json json = parse_json(text);
  try {
    check_validator_options(JsonObject(json, "validators"));
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("wrong options are named by their path") {
  const struct {
    std::string_view text, complaint;
  } rows[] = {
      {R"({"http01": {"port": 70000}})", "validators.http01.port: 70000 is not a port (1..65535)"},
      {R"({"http01": {"port": 0}})", "validators.http01.port: 0 is not a port (1..65535)"},
      {R"({"http01": {"port": -1}})", "validators.http01.port: -1 is not a port (1..65535)"},
      {R"({"http01": {"port": 80.5}})", "validators.http01.port: 80.5 is not a port (1..65535)"},
      {R"({"http01": {"port": 18446744073709551615}})",
       "validators.http01.port: 18446744073709551615 is not a port (1..65535)"},
      {R"({"http01": {"port": "80"}})", "validators.http01.port: this is not a port (1..65535)"},
      {R"({"http01": {"redirect_ports": [8080, 65536]}})",
       "validators.http01.redirect_ports[1]: 65536 is not a port (1..65535)"},
      {R"({"http01": {"user_agent": "a\r\nHost: x"}})",
       "validators.http01.user_agent: only visible ASCII and blanks between, since it becomes an "
       "HTTP header"},
      {R"({"http01": {"user_agent": ""}})",
       "validators.http01.user_agent: only visible ASCII and blanks between, since it becomes an "
       "HTTP header"},
      {R"({"dns01": {"timeout_seconds": 0}})",
       "validators.dns01.timeout_seconds: 0 is not an integer in 1..100"},
      {R"({"tls_alpn01": {"port": 0}})", "validators.tls_alpn01.port: 0 is not a port (1..65535)"},
      {R"({"htp01": {}})",
       "validators.htp01: there is no such validator; there are: http01, dns01, "
       "tls_alpn01"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(complaint(row.text) == row.complaint);
  }
  for (const std::string_view text :
       {R"({"http01": {"prt": 80}})", R"({"http01": {"timeout_seconds": 0}})",
        R"({"http01": {"timeout_seconds": 101}})", R"({"http01": {"redirect_ports": 80}})",
        R"({"http01": []})", R"({"http01": 80})"}) {
    CAPTURE(text);
    CHECK(complaint(text).starts_with("validators.http01"));
  }
  for (const std::string_view text : {R"({"dns01": {"port": 53}})", R"({"dns01": []})"}) {
    CAPTURE(text);
    CHECK(complaint(text).starts_with("validators.dns01"));
  }
}

TEST_CASE("a server refuses at start what check-config refuses") {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress(resolver, dialer);
  const Json json = parse_json(R"({"http01": {"port": 70000}})");
  CHECK_THROWS_AS(make_validators(JsonObject(json, "validators"), egress), JsonError);
}

TEST_CASE("options that are missing have their defaults, others what they say") {
  for (const std::string_view text : {R"({})", R"({"http01": {}})", R"({"http01": null})"})
    CHECK(complaint(text) == "");
  const Json empty = Json::object();
  CHECK(Http01::read_options(JsonObject(empty)) == Http01Options());
  const Json json = parse_json(
      R"({"port": 5002, "redirect_ports": [8080], "user_agent": "Example CA", "timeout_seconds": 7})");
  CHECK(Http01::read_options(JsonObject(json)) ==
        Http01Options{.port = 5002,
                      .redirect_ports = {8080},
                      .user_agent = "Example CA",
                      .timeout = std::chrono::seconds(7)});

  CHECK(Dns01::read_options(JsonObject(empty)) == Dns01Options());
  const Json patient = parse_json(R"({"timeout_seconds": 100})");
  CHECK(Dns01::read_options(JsonObject(patient)) ==
        Dns01Options{.timeout = std::chrono::seconds(100)});

  CHECK(TlsAlpn01::read_options(JsonObject(empty)) == TlsAlpn01Options());
  const Json elsewhere = parse_json(R"({"port": 5001, "timeout_seconds": 1})");
  CHECK(TlsAlpn01::read_options(JsonObject(elsewhere)) ==
        TlsAlpn01Options{.port = 5001, .timeout = std::chrono::seconds(1)});
}

TEST_CASE("every validator is found by its challenge type") {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress(resolver, dialer);
  const Json json = Json::object();
  ValidatorSet set = make_validators(JsonObject(json, "validators"), egress);
  for (const std::string_view type : {"http-01", "dns-01", "tls-alpn-01"}) {
    REQUIRE(set.find(type) != nullptr);
    CHECK(set.find(type)->challenge_type() == type);
  }
  CHECK(set.all().size() == 3);
  CHECK(set.find("tls-sni-01") == nullptr);
  CHECK(set.find("") == nullptr);
}

TEST_CASE("a challenge type has one validator") {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress(resolver, dialer);
  ValidatorSet set;
  set.add(std::make_unique<Http01>(Http01Options(), egress));
  CHECK_THROWS_AS(set.add(std::make_unique<Http01>(Http01Options(), egress)), LogicError);
  CHECK_THROWS_AS(set.add(nullptr), LogicError);
}

}  // namespace gatehouse::validators
