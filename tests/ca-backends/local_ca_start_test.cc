// The local CA at start: what must hold together before it is asked for anything.
#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <string>

#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/signer.h"
#include "tests/support/local_ca_files.h"

namespace gatehouse::backends {
namespace {

using std::chrono::hours;
using testing::CaFile;
using testing::kNoon;
using testing::LocalCaFiles;
using testing::ManualClock;

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing failed";
}

TEST_CASE("a local CA that does not hold together is refused at start, with the file's name") {
  struct Row {
    std::string what;
    std::function<Json(LocalCaFiles&)> spoil;  // returns options besides the usual ones
    std::string says;
  };

  const auto replace_issuer = [](LocalCaFiles& ca, const LocalCaFiles::Change& change) {
    ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &ca.root, change);
    ca.files["issuer.pem"] = ca.issuer.pem;
    return Json::object();
  };
  const Row rows[] = {
      {"no root",
       [](LocalCaFiles& ca) {
         ca.files.erase("root.pem");
         return Json::object();
       },
       "root.pem: no such file"},
      {"two roots",
       [](LocalCaFiles& ca) {
         ca.files["root.pem"] += ca.issuer.pem;
         return Json::object();
       },
       "root.pem: holds 2 certificates"},
      {"another root",
       [](LocalCaFiles& ca) {
         ca.files["root.pem"] = ca.make("Other", nullptr).pem;
         return Json::object();
       },
       "issuer.pem: this is no issuing CA under the root"},
      {"another key",
       [](LocalCaFiles& ca) {
         ca.files["issuer.key"] = ca.root.key_pem;
         return Json::object();
       },
       "issuer.key: this is not the private key of the certificate in issuer.pem"},
      {"no key",
       [](LocalCaFiles& ca) {
         ca.files["issuer.key"] = ca.issuer.pem;
         return Json::object();
       },
       "issuer.key: "},
      {"wrong passphrase",
       [](LocalCaFiles& ca) {
         ca.files["issuer.key"] = std::string(
             crypto::encrypt_private_key(Secret(ca.issuer.key_pem), Secret("another")).reveal());
         return Json{{"passphrase", "env:PASS"}};
       },
       "issuer.key: the private key cannot be decrypted"},
      {"no CA",
       [&](LocalCaFiles& ca) {
         return replace_issuer(ca, [](auto& certificate) { certificate.is_ca = false; });
       },
       "issuer.pem: this is no issuing CA"},
      {"may not sign CRLs",
       [&](LocalCaFiles& ca) {
         return replace_issuer(ca,
                               [](auto& certificate) { certificate.key_usages = {"keyCertSign"}; });
       },
       "keyUsage needs keyCertSign and cRLSign"},
      {"ended",
       [&](LocalCaFiles& ca) {
         return replace_issuer(ca,
                               [](auto& certificate) { certificate.not_after = kNoon - hours(1); });
       },
       "has expired; make the next one: gatehouse rotate-issuer"},
      {"too deep for its root's path length",
       [](LocalCaFiles& ca) {
         ca.root =
             ca.certify(ca.root, "Test Root", nullptr, [](auto& root) { root.path_length = 1; });
         const CaFile middle = ca.make("Middle", &ca.root);
         const CaFile low = ca.make("Low", &middle);
         ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &low);
         ca.files["root.pem"] = ca.root.pem;
         ca.files["issuer.pem"] = ca.issuer.pem + low.pem + middle.pem;
         return Json::object();
       },
       "too many CAs below it"},
      {"an intermediate whose path length is for leaves alone",
       [](LocalCaFiles& ca) {
         const CaFile middle =
             ca.make("Middle", &ca.root, [](auto& certificate) { certificate.path_length = 0; });
         ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &middle);
         ca.files["issuer.pem"] = ca.issuer.pem + middle.pem;
         return Json::object();
       },
       "the path length of \"CN=Middle\" leaves no room"},
      {"the same issuer as a previous one",
       [](LocalCaFiles&) {
         return Json{{"previous", {{{"certificate", "issuer.pem"}, {"key", "issuer.key"}}}}};
       },
       "has an issuer with this key already"},
      {"an alternate chain of another key",
       [](LocalCaFiles& ca) {
         ca.files["alternate.pem"] = ca.make("Test Issuing CA", &ca.root).pem;
         return Json{{"alternates", {"alternate.pem"}}};
       },
       "alternate.pem: its first certificate is not for the issuing CA"},
      {"an alternate chain with a broken link",
       [](LocalCaFiles& ca) {
         ca.files["alternate.pem"] = ca.issuer.pem + ca.make("Test Root", nullptr).pem;
         return Json{{"alternates", {"alternate.pem"}}};
       },
       "alternate.pem: this is no alternate chain"},
      {"a root CRL by another",
       [](LocalCaFiles& ca) {
         ca.files["root.crl"] = ca.root_crl(1, ca.issuer);
         return Json{{"root_crl", "root.crl"}};
       },
       "root.crl: is not signed by the root"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    ManualClock clock;
    LocalCaFiles ca(clock);
    const Json more = row.spoil(ca);
    const std::string failure = failure_of([&] { ca.backend(more); });
    CHECK_MESSAGE(failure.find(row.says) != std::string::npos, failure);
  }
}

TEST_CASE("the CRLs that a CA would make are known from its certificates, without a key") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile old = ca.make("Old CA", &ca.root);
  ca.files["old.pem"] = old.pem;
  ca.files["old.key"] = old.key_pem;
  const Json more = {{"crl_shards", 2},
                     {"previous", {{{"certificate", "old.pem"}, {"key", "old.key"}}}}};
  const backends::IssuersSnapshot made = ca.backend(more).certificates->issuers();
  ca.files.erase("issuer.key");
  ca.files.erase("old.key");
  Json options = {{"type", "local"},
                  {"certificate", "issuer.pem"},
                  {"key", "issuer.key"},
                  {"root", "root.pem"}};
  options.update(more);
  const auto known = backends::crls_of_backend(JsonObject(options, "backends.local"), ca.context());
  REQUIRE(known.size() == 4);
  REQUIRE(made->shards.size() == 4);
  for (std::size_t i = 0; i < known.size(); ++i) {
    CHECK(known[i].issuer == made->shards[i].issuer);
    CHECK(known[i].url == made->shards[i].url);
  }
}

TEST_CASE("an encrypted key is opened with the passphrase that the config points to") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  ca.files["issuer.key"] = std::string(
      crypto::encrypt_private_key(Secret(ca.issuer.key_pem), Secret("open sesame")).reveal());
  CHECK_NOTHROW(ca.backend({{"passphrase", "env:PASS"}}));
}

}  // namespace
}  // namespace gatehouse::backends
