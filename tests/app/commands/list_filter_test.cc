// What lists leave out, and how their lines are cut.
#include "acme-server/app/commands/list_filter.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/app/commands/table.h"
#include "acme-server/base/json.h"

namespace gatehouse::testing {
namespace {

using app::Lineages;
using app::ListArguments;
using app::ListFilter;
using app::Table;

Json certificate(const std::string& account, const std::vector<std::string>& identifiers,
                 const std::string& status = "valid") {
  return {{"account", account},
          {"identifiers", identifiers},
          {"status", status},
          {"profile", "default"},
          {"issued", "2026-11-26T12:00:00Z"}};
}

TEST_CASE("filters narrow together, by name, suffix, profile and time") {
  const Json item = certificate("a", {"dns:www.corp.example", "ip:::1"});

  struct Row {
    ListArguments arguments;
    bool wanted;
  };

  const Row rows[] = {
      {{}, true},
      {{.name = "WWW.corp.example"}, true},
      {{.name = "corp.example"}, false},
      {{.name = "::1"}, true},
      {{.suffix = "corp.example"}, true},
      {{.suffix = "www.corp.example"}, true},
      {{.suffix = "orp.example"}, false},
      {{.profile = "default"}, true},
      {{.profile = "device"}, false},
      {{.since = "2026-11-26T12:00:00Z"}, true},
      {{.since = "2026-11-27"}, false},
      {{.until = "2026-11-26T12:00:00Z"}, false},
      {{.until = "2026-11-27"}, true},
      {{.suffix = "corp.example", .until = "2026-11-01"}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.arguments.name + row.arguments.suffix + row.arguments.profile +
            row.arguments.since + row.arguments.until);
    CHECK(ListFilter(row.arguments, "issued").wants(item) == row.wanted);
  }
  CHECK_THROWS_WITH_AS(ListFilter({.until = "soon"}, "issued"), doctest::Contains("--until"),
                       std::runtime_error);
}

TEST_CASE("an audit event has its names and profile among its details") {
  const Json event = {{"at", "2026-11-26T12:00:00Z"},
                      {"details", {{"identifiers", {"dns:a.test"}}, {"profile", "device"}}}};
  CHECK(ListFilter({.name = "a.test", .profile = "device"}, "at").wants(event));
  CHECK_FALSE(ListFilter({.name = "b.test"}, "at").wants(event));
  CHECK_FALSE(ListFilter({.name = "a.test"}, "at").wants({{"details", Json::object()}}));
}

TEST_CASE("a certificate is renewed by a newer one of its account for exactly its names") {
  Lineages lineages;  // the newest first
  CHECK_FALSE(lineages.was_renewed(certificate("a", {"dns:x.test", "dns:y.test"})));
  CHECK_FALSE(lineages.was_renewed(certificate("b", {"dns:x.test", "dns:y.test"})));
  CHECK_FALSE(lineages.was_renewed(certificate("a", {"dns:x.test"})));
  CHECK_FALSE(lineages.was_renewed(certificate("a", {"dns:z.test"}, "revoked")));
  CHECK(lineages.was_renewed(certificate("a", {"dns:y.test", "dns:x.test"})));
  CHECK_FALSE(lineages.was_renewed(certificate("a", {"dns:z.test"})));  // the newer one is revoked
  CHECK(lineages.was_renewed(certificate("a", {"dns:z.test"})));
}

TEST_CASE("lines are cut to the terminal, by characters and not in the middle of one") {
  Table table({"NAME", "NOTE"}, 9);
  table.add({"äöü", "1234567"});
  table.add({"a", "1"});
  CHECK(table.take_page() == "NAME  NO…\näöü   12…\na     1\n");
  Table whole({"NAME", "NOTE"});
  whole.add({"a", "12345678901234567890"});
  CHECK(whole.take_page() == "NAME  NOTE\na     12345678901234567890\n");
}

}  // namespace
}  // namespace gatehouse::testing
