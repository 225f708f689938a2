#include "acme-server/crypto/name_constraints.h"

#include <doctest/doctest.h>

#include "tests/support/company_ca.h"

namespace gatehouse::crypto {
namespace {

Certificate ca_with(const std::string& constraints) {
  const testing::CompanyCa ca("Constrained", "nameConstraints=critical," + constraints + "\n");
  return parse_pem_chain(read_file(ca.root())).value().front();
}

TEST_CASE("names are held to a CA's constraints, and OpenSSL reads them alike") {
  struct Row {
    std::string constraints;
    std::vector<std::string> inside, outside;
  };

  const Row rows[] = {
      {"permitted;DNS:Corp.test",
       {"corp.test", "a.corp.test", "*.corp.test", "10.0.0.1"},
       {"xcorp.test", "test", "corp.test.evil", "*.test"}},
      {"permitted;DNS:.corp.test", {"a.corp.test", "*.corp.test"}, {"corp.test", "xcorp.test"}},
      {"permitted;DNS:corp.test,excluded;DNS:secret.corp.test",
       {"corp.test", "notsecret.corp.test", "*.a.corp.test"},
       {"secret.corp.test", "a.secret.corp.test", "*.secret.corp.test", "*.corp.test"}},
      {"excluded;DNS:corp.test",
       {"other.test", "*.other.test"},
       {"corp.test", "*.corp.test", "*.test"}},
      {"excluded;DNS:.corp.test", {"corp.test", "*.test"}, {"a.corp.test", "*.corp.test"}},
      {"permitted;IP:10.0.0.0/255.0.0.0", {"10.255.0.1", "a.test"}, {"11.0.0.1", "2001:db8::1"}},
      {"permitted;IP:10.0.0.0/255.255.255.128,excluded;IP:10.0.0.7/255.255.255.255",
       {"10.0.0.127"},
       {"10.0.0.128", "10.0.0.7"}},
      {"excluded;IP:0.0.0.0/0.0.0.0", {"2001:db8::1", "a.test"}, {"10.0.0.1"}},
      {"permitted;IP:2001:db8::/ffff:ffff::", {"2001:db8::1"}, {"2001:db9::1", "10.0.0.1"}},
      {"permitted;email:corp.test", {"a.test", "10.0.0.1"}, {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.constraints);
    const Certificate ca = ca_with(row.constraints);
    CHECK(why_constraints_are_read_differently(ca) == std::nullopt);
    const auto constraints = read_name_constraints(ca);
    REQUIRE(constraints);
    for (const std::string& name : row.inside) {
      CAPTURE(name);
      CHECK(why_outside(*constraints, name) == std::nullopt);
    }
    for (const std::string& name : row.outside) {
      CAPTURE(name);
      const std::string why = why_outside(*constraints, name).value_or("");
      CHECK(why.find(name) != std::string::npos);
      CHECK(why.find("name constraints") != std::string::npos);
    }
  }
}

TEST_CASE("a CA without constraints constrains nothing") {
  const testing::CompanyCa ca;
  const Certificate root = parse_pem_chain(read_file(ca.root())).value().front();
  CHECK(read_name_constraints(root).value() == NameConstraints());
  CHECK(why_constraints_are_read_differently(root) == std::nullopt);
  CHECK(why_outside(NameConstraints(), "any.test") == std::nullopt);
}

TEST_CASE("constraints that verifiers disagree about are told, not guessed at") {
  CHECK(read_name_constraints(ca_with("permitted;IP:10.0.0.0/255.0.255.0"))
            .error()
            .find("IP range") != std::string::npos);
}

TEST_CASE("subtrees of subjects are noticed") {
  const testing::CompanyCa ca("Constrained",
                              "nameConstraints=critical,permitted;dirName:who\n[who]\nO=Company\n");
  CHECK(read_name_constraints(parse_pem_chain(read_file(ca.root())).value().front())
            .value()
            .of_subjects);
}

}  // namespace
}  // namespace gatehouse::crypto
