#include <doctest/doctest.h>

#include "acme-server/crypto/certificate.h"
#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

// Root, intermediate, leaf; each test spoils one of them.
struct Chain {
  TestKey root_key = TestKey::fixed(Kind::rsa2048);
  TestKey middle_key = TestKey::fixed(Kind::p384);
  TestKey leaf_key = TestKey::fixed(Kind::p256);
  CertificateTemplate root = ca_template(root_key, "Root");
  CertificateTemplate middle = ca_template(middle_key, "Middle");
  CertificateTemplate leaf = leaf_template(leaf_key, "a.test");

  struct Built {
    std::vector<Certificate> chain;
    Certificate root;
  };

  Built build() const {
    const TestCa top = TestCa::make(root, root_key, nullptr);
    const TestCa below = TestCa::make(middle, middle_key, &top);
    return {.chain = {below.issue(leaf), below.certificate}, .root = top.certificate};
  }
};

std::string why(const Chain::Built& built, Instant now = kNoon + kDay) {
  return why_chain_fails(built.chain, built.root, now).value_or("");
}

bool says(const std::string& sentence, std::string_view part) {
  return sentence.find(part) != std::string::npos;
}

TEST_CASE("a good chain holds, with its root or without, to the last second") {
  Chain parts;
  Chain::Built built = Chain().build();
  CHECK(why(built) == "");
  CHECK(why(built, parts.leaf.not_before) == "");
  CHECK(why(built, parts.leaf.not_after) == "");
  built.chain.push_back(built.root);
  CHECK(why(built) == "");
  CHECK(why({.chain = {built.root}, .root = built.root}) == "");
}

TEST_CASE("a chain that breaks says at which link") {
  const Chain::Built good = Chain().build();
  CHECK(says(why({.chain = {}, .root = good.root}), "empty"));
  CHECK(says(why(good, Chain().leaf.not_before - std::chrono::seconds(1)), "not valid yet"));
  CHECK(says(why(good, Chain().leaf.not_after + std::chrono::seconds(1)), "has expired"));
  CHECK(says(why({.chain = {good.chain[0]}, .root = good.root}), "names another issuer"));
  CHECK(says(why({.chain = {good.chain[1], good.chain[0]}, .root = good.root}),
             "names another issuer"));
  CHECK(
      says(why({.chain = {good.chain[0], good.root}, .root = good.root}), "names another issuer"));

  Chain expired;
  expired.middle.not_after = kNoon + std::chrono::hours(1);
  CHECK(says(why(expired.build()), "\"CN=Middle\" has expired"));
  Chain old_root;
  old_root.root.not_after = kNoon + std::chrono::hours(1);
  CHECK(says(why(old_root.build()), "\"CN=Root\" has expired"));

  Chain no_ca;
  no_ca.middle.is_ca = false;
  CHECK(says(why(no_ca.build()), "\"CN=Middle\" is not a CA"));
  Chain no_usage;
  no_usage.middle.key_usages = {"cRLSign"};
  CHECK(says(why(no_usage.build()), "\"CN=Middle\" may not sign certificates"));
  Chain short_path;
  short_path.root.path_length = 0;
  CHECK(says(why(short_path.build()), "\"CN=Root\" has too many CAs below it"));
  short_path.root.path_length = 1;
  CHECK(why(short_path.build()) == "");

  Chain twin;
  twin.root_key = TestKey::generate(Kind::p256);
  twin.root = ca_template(twin.root_key, "Root");
  CHECK(
      says(why({.chain = good.chain, .root = twin.build().root}), "is not signed by \"CN=Root\""));
  Chain other_middle;
  other_middle.middle_key = TestKey::generate(Kind::p256);
  other_middle.middle = ca_template(other_middle.middle_key, "Middle");
  CHECK(says(why({.chain = {good.chain[0], other_middle.build().chain[1]}, .root = good.root}),
             "is not signed by"));
}

}  // namespace
}  // namespace gatehouse::crypto
