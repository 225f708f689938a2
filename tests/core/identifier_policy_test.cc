#include "acme-server/core/identifier_policy.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/prefixes.h"

namespace gatehouse {
namespace {

Identifier named(const std::string& value) {
  const bool is_ip = value.find(':') != std::string::npos ||
                     value.find_first_not_of("0123456789.") == std::string::npos;
  return {.type = is_ip ? IdentifierType::ip : IdentifierType::dns, .value = value};
}

template <class Change>
IdentifierPolicy policy_with(Change change) {
  IdentifierPolicy policy;
  change(policy);
  return policy;
}

struct Row {
  IdentifierPolicy policy;
  const char* identifier;
  bool allowed;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    INFO(std::string(row.identifier));
    REQUIRE_FALSE(why_unusable(row.policy));
    const auto why = why_refused(named(row.identifier), row.policy);
    CHECK(why.has_value() != row.allowed);
    if (why) {
      CHECK(why->find(row.identifier) != std::string::npos);
    }
  }
}

TEST_CASE("no rule allows everything") {
  check({{{}, "a.test", true},
         {{}, "*.a.test", true},
         {{}, "intranet", true},
         {{}, "192.0.2.1", true},
         {{}, "com", true}});
}

TEST_CASE("an allowed domain is the name and all below it, label by label") {
  const IdentifierPolicy policy = policy_with([](auto& p) { p.allowed_dns = {"Corp.Example"}; });
  check({{policy, "corp.example", true},
         {policy, "a.b.corp.example", true},
         {policy, "*.corp.example", true},
         {policy, "notcorp.example", false},
         {policy, "corp.example.test", false},
         {policy, "example", false},
         {policy, "*.example", false},
         {policy, "192.0.2.1", true}});  // a rule for names says nothing of addresses
}

TEST_CASE("a rule that begins with a star speaks of wildcards alone") {
  const IdentifierPolicy allowed = policy_with([](auto& p) { p.allowed_dns = {"*.corp.example"}; });
  check({{allowed, "*.corp.example", true},
         {allowed, "*.a.corp.example", true},
         {allowed, "a.corp.example", false},
         {allowed, "corp.example", false}});
  const IdentifierPolicy denied = policy_with([](auto& p) { p.denied_dns = {"*.corp.example"}; });
  check({{denied, "*.corp.example", false},
         {denied, "*.a.corp.example", false},
         {denied, "a.corp.example", true},
         {denied, "*.example", true}});
}

TEST_CASE("a denial wins over an allowance, and over a wildcard that would serve the denied name") {
  const IdentifierPolicy policy = policy_with([](auto& p) {
    p.allowed_dns = {"corp.example"};
    p.denied_dns = {"hr.corp.example"};
  });
  check({{policy, "hr.corp.example", false},
         {policy, "www.hr.corp.example", false},
         {policy, "*.hr.corp.example", false},
         {policy, "*.corp.example", false},
         {policy, "it.corp.example", true},
         {policy, "*.it.corp.example", true},
         {policy, "corp.example", true}});
}

TEST_CASE("addresses are allowed and denied by prefix") {
  const IdentifierPolicy policy = policy_with([](auto& p) {
    p.allowed_ip = testing::prefixes({"10.0.0.0/8", "2001:db8::/32", "64:ff9b::/96"});
    p.denied_ip = testing::prefixes({"10.1.0.0/16"});
  });
  check({{policy, "10.0.0.1", true},
         {policy, "10.1.0.1", false},
         {policy, "192.0.2.1", false},
         {policy, "2001:db8::1", true},
         {policy, "2001:db9::1", false},
         {policy, "64:ff9b::a02:1", true},
         {policy, "64:ff9b::a01:1", false},  // NAT64 of 10.1.0.1
         {policy, "a.test", true}});
}

TEST_CASE("kinds of identifiers can be switched off") {
  check({{policy_with([](auto& p) { p.allow_ip = false; }), "192.0.2.1", false},
         {policy_with([](auto& p) { p.allow_ip = false; }), "a.test", true},
         {policy_with([](auto& p) { p.allow_wildcards = false; }), "*.a.test", false},
         {policy_with([](auto& p) { p.allow_wildcards = false; }), "a.test", true},
         {policy_with([](auto& p) { p.allow_single_label = false; }), "intranet", false},
         {policy_with([](auto& p) { p.allow_single_label = false; }), "*.intranet", false},
         {policy_with([](auto& p) { p.allow_single_label = false; }), "a.intranet", true}});
}

TEST_CASE("the public-suffix rule refuses registries and wildcards of them") {
  const IdentifierPolicy policy = policy_with([](auto& p) { p.public_suffix_rule = true; });
  check({{policy, "com", false},
         {policy, "co.uk", false},
         {policy, "*.co.uk", false},
         {policy, "*.com", false},
         {policy, "example.co.uk", true},
         {policy, "*.example.co.uk", true},
         {policy, "xn--fiqs8s", false},
         {policy, "github.io", true},  // a company's suffix, not a registry's
         {policy, "192.0.2.1", true}});
}

TEST_CASE("a rule that means nothing is named") {
  struct Unusable {
    IdentifierPolicy policy;
    const char* names;
  };

  const Unusable rows[] = {
      {policy_with([](auto& p) { p.allowed_dns = {"a.test", "b..test"}; }), "b..test"},
      {policy_with([](auto& p) { p.denied_dns = {"a.*.test"}; }), "a.*.test"},
      {policy_with([](auto& p) { p.denied_dns = {""}; }), "\"\""},
      {policy_with([](auto& p) { p.allowed_dns = {".a.test"}; }), ".a.test"},
  };
  for (const Unusable& row : rows) {
    const auto why = why_unusable(row.policy);
    REQUIRE(why.has_value());
    CHECK(why->find(row.names) != std::string::npos);
  }
  CHECK_FALSE(why_unusable(policy_with([](auto& p) {
    p.allowed_dns = {"*.a.test", "internal"};
    p.denied_ip = testing::prefixes({"::1"});
  })));
}

}  // namespace
}  // namespace gatehouse
