#include "ca-backends/remote/remote_issuers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/manual_clock.h"
#include "tests/support/scripted_backend.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::backends {
namespace {

using testing::ScriptedBackend;

// A CA of root and intermediate, and a leaf of it.
struct World {
  World() {
    crypto::CertificateTemplate leaf;
    leaf.serial = {0x11, 0x22};
    leaf.issuer_name_der = ca.issuer().certificate.subject_name_der;
    leaf.not_before = clock.now();
    leaf.not_after = clock.now() + std::chrono::hours(24);
    leaf.spki = key->public_key();
    leaf.dns_names = {"a.test"};
    leaf.authority_key_id = ca.issuer().certificate.subject_key_id;
    const auto chain = crypto::parse_pem_chain(ca.chain_of(leaf)).value();
    leaf_pem = crypto::to_pem(chain.front().der);
    issuer_pem = crypto::to_pem(ca.issuer().certificate.der);
    root_pem = crypto::to_pem(ca.root().der);
    other_pem = crypto::to_pem(other.root().der);
  }

  std::string put(const std::string& name, const std::string& content) {
    const std::string path = folder.path() + "/" + name;
    write_file(path, content, FileAccess::owner_only, ExistingFile::replace);
    return path;
  }

  RemoteIssuers issuers(const std::vector<std::string>& anchors, const std::string& chain = "") {
    RemoteCaOptions options;
    for (const std::string& pem : anchors) {
      options.anchors.push_back(put("anchor" + std::to_string(options.anchors.size()), pem));
    }
    if (!chain.empty()) options.chain = {put("chain", chain)};
    return {"corp", options,
            BackendContext{.clock = clock,
                           .entropy = entropy,
                           .log = log,
                           .public_url = "http://pki.test",
                           .read_file = [](const std::string& file) { return read_file(file); },
                           .read_key_file = {},
                           .resolve_secret = {},
                           .decorate_signer = {}}};
  }

  std::string key_hash() const { return crypto::spki_sha256_of(key->public_key()); }

  testing::ManualClock clock;
  testing::SeededEntropy entropy{1};
  Log log;
  testing::TemporaryFolder folder;
  ScriptedBackend ca{entropy}, other{entropy};
  std::unique_ptr<crypto::Signer> key =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  std::string leaf_pem, issuer_pem, root_pem, other_pem;
};

}  // namespace

TEST_CASE("a chain is built from certificates in any order, and no root is served") {
  World world;
  std::vector<std::string> parts = {world.leaf_pem, world.issuer_pem, world.root_pem,
                                    world.other_pem};
  std::ranges::sort(parts);
  do {
    const RemoteIssuers issuers = world.issuers({world.root_pem});
    const auto issued =
        issuers.read_answer(parts[0] + parts[1] + parts[2] + parts[3], world.key_hash());
    REQUIRE(issued);
    CHECK(issued->chain_pem == world.leaf_pem + world.issuer_pem);
    CHECK(issued->alternate_chains_pem.empty());
  } while (std::ranges::next_permutation(parts).found);
}

TEST_CASE("an issuing CA is learned from an answer below an anchor alone") {
  World world;
  const RemoteIssuers issuers = world.issuers({world.other_pem, world.root_pem});
  const auto before = issuers.snapshot();
  CHECK(before->find(world.ca.issuer().id) == nullptr);
  REQUIRE(issuers.read_answer(world.leaf_pem + world.issuer_pem, world.key_hash()));
  const auto after = issuers.snapshot();
  REQUIRE(after->in_use() != nullptr);
  CHECK(after->in_use()->id == world.ca.issuer().id);
  CHECK(before->find(world.ca.issuer().id) == nullptr);

  // Later answers, and files that an operator adopts, may leave it out.
  const auto short_one = issuers.read_answer(world.leaf_pem, world.key_hash());
  REQUIRE(short_one);
  CHECK(short_one->chain_pem == world.leaf_pem + world.issuer_pem);

  // A root that the answer brings with it is no anchor.
  const RemoteIssuers strict = world.issuers({world.other_pem});
  const auto issued =
      strict.read_answer(world.leaf_pem + world.issuer_pem + world.root_pem, world.key_hash());
  REQUIRE(issued);
  CHECK(issued->chain_pem == world.leaf_pem);
  CHECK(strict.snapshot()->find(world.ca.issuer().id) == nullptr);
}

TEST_CASE("the CAs of the config complete an answer of the leaf alone") {
  World world;
  const RemoteIssuers issuers = world.issuers({world.root_pem}, world.issuer_pem);
  REQUIRE(issuers.snapshot()->in_use() != nullptr);
  CHECK(issuers.snapshot()->in_use()->id == world.ca.issuer().id);
  const auto issued = issuers.read_answer(world.leaf_pem, world.key_hash());
  REQUIRE(issued);
  CHECK(issued->chain_pem == world.leaf_pem + world.issuer_pem);
}

TEST_CASE("files that cannot make a chain are refused by name") {
  World world;
  const auto why = [&](const std::vector<std::string>& anchors, const std::string& chain) {
    try {
      world.issuers(anchors, chain);
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(why({"nothing"}, "").find("/anchor0: ") != std::string::npos);
  CHECK(why({world.leaf_pem}, "").find("is no CA") != std::string::npos);
  const std::string stray = why({world.other_pem}, world.issuer_pem);
  CHECK(stray.find("/chain: ") != std::string::npos);
  CHECK(stray.find("is no CA below one of backends.corp.anchors") != std::string::npos);
}

TEST_CASE("an answer without a certificate of a subscriber is no answer") {
  World world;
  const RemoteIssuers issuers = world.issuers({world.root_pem});
  CHECK_FALSE(issuers.read_answer("", world.key_hash()));
  CHECK_FALSE(issuers.read_answer("Thank you for your request.", world.key_hash()));
  CHECK_FALSE(issuers.read_answer(world.issuer_pem + world.root_pem, world.key_hash()));
}

}  // namespace gatehouse::backends
