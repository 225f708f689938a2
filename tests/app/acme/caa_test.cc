// CAA through the whole application: what clients and operators see of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "acme-server/app/server/start_report.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

bool has_line(const std::vector<std::string>& lines, std::string_view part) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

TEST_CASE("a client reads why CAA forbids its name, and adding the record that it is told helps") {
  TestServer server;
  AcmeClient client = registered(server);
  CHECK(client.get("/directory").json()["meta"]["caaIdentities"] == Json::array({"acme.test"}));
  server.resolver.add_caa("corp.test", {.flags = 0, .tag = "issue", .value = ";"});
  const ClientOrder refused = ready_order(server, client, {"a.corp.test"});
  CHECK(refused.status() == "invalid");
  const Json authorization =
      client.read(refused.json.at("authorizations").at(0).get<std::string>()).json();
  CHECK(authorization["status"] == "invalid");
  const Json& error = authorization["challenges"][0]["error"];
  CHECK(error["type"] == "urn:ietf:params:acme:error:caa");
  CHECK(error["status"] == 403);
  const std::string detail = error["detail"];
  CHECK(detail.find("Add the record: corp.test. CAA 0 issue \"acme.test\".") != std::string::npos);

  server.resolver.add_caa("corp.test", {.flags = 0, .tag = "issue", .value = "acme.test"});
  CHECK(issued_order(server, client, {"a.corp.test"}).status() == "valid");
}

TEST_CASE("the start report tells the CAA identities, and each profile that has CAA off") {
  ManualClock clock(kNoon);
  const ServerFolder plain(clock);
  const auto lines = app::report_server(plain.config(), {});
  CHECK(has_line(lines, "CAA: records permit this CA by acme.test"));
  CHECK_FALSE(has_line(lines, "CAA is off"));
  const ServerFolder off(clock, parse_json(R"({"caa_identities": ["One.Example", "two.example"],
                                               "profiles": {"lab": {"caa": "off"}}})"));
  const auto other = app::report_server(off.config(), {});
  CHECK(has_line(other, "CAA: records permit this CA by one.example, two.example"));
  CHECK(has_line(other, "profile lab: CAA is off"));
}

}  // namespace
}  // namespace gatehouse::testing
