#include "acme-server/web/acme/misspelt_members.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::TestServices;
using testing::TestWeb;

struct Fixture {
  Log log{{.sink = [this](LogLevel level, std::string_view line) {
    Json event = parse_json(line);
    CHECK(event["event"] == "payload.misspelt_member");
    CHECK(level == LogLevel::warning);
    told.push_back(event["agent"].get<std::string>() + ": " + event["sent"].get<std::string>() +
                   " for " + event["meant"].get<std::string>());
  }}};
  std::vector<std::string> told;
  MisspeltMembers members{log};
};

TEST_CASE("a member in another case is told once for each agent, with both names") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.members.look_at(R"({"Profile": "short", "csr": "AA"})", "one/1");
  f.members.look_at(R"({"Profile": "short", "NotAfter": 1})", "two/2");
  f.members.look_at(R"({"identifiers": [{"Type": "dns", "value": "Value"}]})", "one/1");
  CHECK(f.told == std::vector<std::string>{"one/1: Profile for profile",
                                           "two/2: Profile for profile",
                                           "two/2: NotAfter for notAfter", "one/1: Type for type"});
}

TEST_CASE("known members, unknown ones and what is no JSON are passed over") {
  Fixture f;
  for (const char* payload : {"", "{", "[1, 2]", "null", R"("Profile")",
                              R"({"profile": "a", "status": "Status", "whatever": {"X": 1}})",
                              R"({"oldkey2": 1, "profiles": 2, "x": [["Profile"]]})"}) {
    f.members.look_at(payload, "one/1");
  }
  CHECK(f.told.empty());
}

TEST_CASE("agents that are made up take no room without end, and nothing unprintable is logged") {
  Fixture f;
  for (std::size_t i = 0; i < MisspeltMembers::kRemembered + 1; ++i) {
    f.members.look_at(R"({"Csr": ""})", "agent " + std::to_string(i));
  }
  CHECK(f.told.size() == MisspeltMembers::kRemembered + 1);
  f.members.look_at(R"({"Csr": ""})", "agent 0");  // forgotten meanwhile
  CHECK(f.told.size() == MisspeltMembers::kRemembered + 2);
  f.members.look_at(R"({"Csr": ""})", "a\nb");
  CHECK(f.told.back().find('\n') == std::string::npos);
}

TEST_CASE("what a client wrote otherwise is ignored, as the RFC has it, and told to the operator") {
  std::vector<Json> told;
  TestServices::Options options;
  options.log = [&](LogLevel, std::string_view line) {
    const Json event = parse_json(line);
    if (event["event"] == "payload.misspelt_member") told.push_back(event);
  };
  TestWeb web(std::move(options));
  Client client(web);
  client.new_account(Json{{"Contact", Json::array({"mailto:a@a.test"})}});
  const http::Response order =
      client.post(TestWeb::url("/new-order"),
                  Json{{"identifiers", Json::array({Json{{"type", "dns"}, {"value", "a.test"}}})},
                       {"Profile", "no such profile"}});
  CHECK(order.status == 201);
  REQUIRE(told.size() == 2);
  CHECK(told[0]["sent"] == "Contact");
  CHECK(told[1]["meant"] == "profile");
}

}  // namespace
}  // namespace gatehouse::web
