#include "ca-backends/issuers.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/test_ca.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;
using testing::ca_template;
using testing::kDay;
using testing::kNoon;
using testing::TestCa;
using testing::TestKey;
using Kind = TestKey::Kind;

struct Hierarchy {
  TestCa root = TestCa::root(TestKey::fixed(Kind::p384), "Anchor");
  TestCa policy = TestCa::make(ca_template(TestKey::fixed(Kind::rsa2048), "Policy CA"),
                               TestKey::fixed(Kind::rsa2048), &root);
  TestCa issuing = TestCa::make(ca_template(TestKey::fixed(Kind::p256), "Issuing CA"),
                                TestKey::fixed(Kind::p256), &policy);
  TestCa stranger = TestCa::root(TestKey::fixed(Kind::p521), "Stranger");
};

TEST_CASE("an issuer is taken below a configured anchor, directly or through other CAs") {
  const Hierarchy h;
  const std::vector<Certificate> anchors = {h.stranger.certificate, h.root.certificate};
  CHECK(why_not_below({h.issuing.certificate, h.policy.certificate}, anchors, kNoon) ==
        std::nullopt);
  CHECK(why_not_below({h.policy.certificate}, anchors, kNoon) == std::nullopt);
  CHECK(why_not_below({h.policy.certificate, h.root.certificate}, anchors, kNoon) == std::nullopt);
}

TEST_CASE("whatever is not below a configured anchor is no issuer") {
  const Hierarchy h;
  auto leaf = ca_template(TestKey::fixed(Kind::p256), "Leaf");
  leaf.is_ca = false;
  leaf.key_usages = {"digitalSignature"};
  auto no_cert_sign = ca_template(TestKey::fixed(Kind::p256), "CRL signer");
  no_cert_sign.key_usages = {"cRLSign"};
  auto narrow = ca_template(TestKey::fixed(Kind::rsa2048), "Narrow CA");
  narrow.path_length = 0;
  const TestCa below = TestCa::make(narrow, TestKey::fixed(Kind::rsa2048), &h.root);
  const TestCa too_deep = TestCa::make(ca_template(TestKey::fixed(Kind::p256), "Too deep"),
                                       TestKey::fixed(Kind::p256), &below);
  const std::vector<Certificate> root = {h.root.certificate};

  struct Row {
    std::string what;
    std::vector<Certificate> chain, anchors;
    Instant now = kNoon;
  };

  const Row rows[] = {
      {"nothing", {}, root},
      {"no anchor", {h.policy.certificate}, {}},
      {"another's anchor", {h.policy.certificate}, {h.stranger.certificate}},
      {"a self-signed CA that only says it is one", {h.stranger.certificate}, root},
      {"a link that is missing", {h.issuing.certificate}, root},
      {"the wrong order", {h.policy.certificate, h.issuing.certificate}, root},
      {"no CA", {h.root.issue(leaf)}, root},
      {"no keyCertSign", {h.root.issue(no_cert_sign)}, root},
      {"a path length that is used up", {too_deep.certificate, below.certificate}, root},
      {"one that has ended", {h.policy.certificate}, root, kNoon + 3651 * kDay},
      {"one that has not begun", {h.policy.certificate}, root, kNoon - kDay},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(why_not_below(row.chain, row.anchors, row.now).has_value());
  }
}

TEST_CASE("an empty snapshot has no issuer in use, and finds none") {
  CHECK(Issuers().in_use() == nullptr);
  CHECK(Issuers().find(IssuerId("any")) == nullptr);
  const Hierarchy h;
  const Issuer issuer{.id = IssuerId("i"),
                      .certificate = h.policy.certificate,
                      .chain = {h.policy.certificate},
                      .root = h.root.certificate};
  const Issuers one{.all = {issuer}, .shards = {}};
  REQUIRE(one.in_use() != nullptr);
  CHECK(one.in_use()->id == IssuerId("i"));
  CHECK(one.find(IssuerId("i")) == one.in_use());
  CHECK(one.find(IssuerId("j")) == nullptr);
}

}  // namespace
}  // namespace gatehouse::backends
