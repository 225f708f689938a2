#include "acme-server/crypto/chain_checker.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

struct Tree {
  TestCa root = TestCa::root(TestKey::fixed(Kind::p384));
  Certificate leaf = root.issue(leaf_template(TestKey::fixed(Kind::p256), "a.test"));
  std::vector<Certificate> chain = {leaf, root.certificate};
};

TEST_CASE("asked again, it says the same of certificates and chains as certificate.h") {
  const Tree tree;
  ChainChecker chains;
  const std::string pem = to_pem(tree.leaf.der) + to_pem(tree.root.certificate.der);
  for (int i = 0; i < 3; ++i) {
    CHECK(chains.parse(tree.leaf.der).value() == tree.leaf);
    CHECK(chains.parse_chain(pem).value() == tree.chain);
    CHECK(chains.is_signed_by(tree.leaf, tree.root.certificate));
    CHECK_FALSE(chains.is_signed_by(tree.root.certificate, tree.leaf));
    CHECK(chains.why_fails(tree.chain, tree.root.certificate, kNoon) == std::nullopt);
  }
}

TEST_CASE("what it remembers of a good certificate says nothing of one that differs in a bit") {
  const Tree tree;
  ChainChecker chains;
  REQUIRE(chains.is_signed_by(tree.leaf, tree.root.certificate));
  const Bytes& good = tree.leaf.der;
  for (std::size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    Bytes changed = good;
    changed[i] ^= 0x01U;
    for (int again = 0; again < 2; ++again) {
      const auto certificate = chains.parse(changed);
      CHECK((!certificate || !chains.is_signed_by(*certificate, tree.root.certificate)));
    }
  }
  CHECK(chains.is_signed_by(tree.leaf, tree.root.certificate));
}

TEST_CASE("a signature it remembers is another issuer's no more than before") {
  const Tree tree;
  const TestCa other = TestCa::root(TestKey::fixed(Kind::p256));
  Certificate same_name = other.certificate;
  same_name.subject_name_der = tree.root.certificate.subject_name_der;
  ChainChecker chains;
  REQUIRE(chains.is_signed_by(tree.leaf, tree.root.certificate));
  CHECK_FALSE(chains.is_signed_by(tree.leaf, same_name));
  CHECK(chains.why_fails({tree.leaf, same_name}, same_name, kNoon).has_value());
}

TEST_CASE("dates are compared each time") {
  const Tree tree;
  ChainChecker chains;
  REQUIRE_FALSE(chains.why_fails(tree.chain, tree.root.certificate, kNoon));
  const Instant late = tree.leaf.not_after + std::chrono::seconds(1);
  CHECK(chains.why_fails(tree.chain, tree.root.certificate, late).has_value());
}

TEST_CASE("what it has forgotten it reads and verifies anew") {
  const Tree tree;
  ChainChecker chains;
  std::vector<Certificate> leaves;
  for (std::size_t i = 0; i < 2 * ChainChecker::kRemembered + 2; ++i) {
    leaves.push_back(tree.root.issue(
        leaf_template(TestKey::fixed(Kind::p256), "n" + std::to_string(i) + ".test")));
    CHECK(chains.is_signed_by(leaves.back(), tree.root.certificate));
  }
  for (const Certificate& leaf : leaves) {
    CHECK(chains.parse(leaf.der).value() == leaf);
    CHECK(chains.is_signed_by(leaf, tree.root.certificate));
  }
}

TEST_CASE("many threads may ask at once") {
  const Tree tree;
  ChainChecker chains;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        CHECK(chains.why_fails(tree.chain, tree.root.certificate, kNoon) == std::nullopt);
        CHECK(chains.parse(tree.leaf.der).has_value());
      }
    });
  }
}

}  // namespace
}  // namespace gatehouse::crypto
