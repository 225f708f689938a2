// LocalCaFiles: a root and an issuing CA made on the spot, as files in memory, and a local backend
// made of them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/base/json.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/registry.h"
#include "tests/support/manual_clock.h"
#include "tests/support/seeded_entropy.h"

namespace gatehouse::testing {

// A CA's certificate and its key.
struct CaFile {
  crypto::Certificate certificate;
  std::string pem, key_pem;
  std::shared_ptr<crypto::Signer> key;
};

class LocalCaFiles {
 public:
  // Changes what a CA's certificate says before it is signed.
  using Change = std::function<void(crypto::CertificateTemplate&)>;

  explicit LocalCaFiles(ManualClock& given) : clock(given) {
    root = make("Test Root", nullptr);
    issuer = make("Test Issuing CA", &root);
    files = {{"root.pem", root.pem}, {"issuer.pem", issuer.pem}, {"issuer.key", issuer.key_pem}};
  }

  // A CA under `above`, or a root.
  CaFile make(const std::string& name, const CaFile* above, const Change& change = {}) {
    CaFile made;
    const Secret pem = crypto::generate_private_key(crypto::NewKey::p256);
    made.key_pem = std::string(pem.reveal());
    made.key = crypto::load_signer(pem, Secret());
    return certify(std::move(made), name, above, change);
  }

  // The key of `made` under another certificate.
  CaFile certify(CaFile made, const std::string& name, const CaFile* above,
                 const Change& change = {}) {
    constexpr std::chrono::hours kDay{24};
    crypto::CertificateTemplate ca;
    ca.serial = crypto::random_serial(entropy);
    ca.common_name = name;
    ca.not_before = clock.now() - kDay;
    ca.not_after = clock.now() + 10 * 365 * kDay;
    ca.spki = made.key->public_key();
    ca.key_usages = {"keyCertSign", "cRLSign"};
    ca.is_ca = true;
    if (above != nullptr) {
      ca.issuer_name_der = above->certificate.subject_name_der;
      ca.authority_key_id = above->certificate.subject_key_id;
    }
    if (change) change(ca);
    crypto::Signer& signer = above != nullptr ? *above->key : *made.key;
    const Bytes tbs = crypto::make_tbs(ca, signer.algorithm());
    made.certificate = crypto::parse_certificate(crypto::sign_certificate(tbs, signer)).value();
    made.pem = crypto::to_pem(made.certificate.der);
    return made;
  }

  // An empty CRL, as `gatehouse root crl` makes it.
  std::string root_crl(std::int64_t number, const CaFile& by) const {
    const Bytes crl =
        crypto::CrlBuilder().finish({.issuer_name_der = by.certificate.subject_name_der,
                                     .authority_key_id = by.certificate.subject_key_id,
                                     .number = number,
                                     .this_update = clock.now(),
                                     .next_update = clock.now() + std::chrono::hours(24 * 365),
                                     .distribution_point = ""},
                                    *by.key);
    return std::string(as_text(crl));
  }

  backends::BackendContext context() {
    const auto read = [this](const std::string& path) {
      const auto found = files.find(path);
      if (found == files.end()) throw std::runtime_error(path + ": no such file");
      return found->second;
    };
    return {.clock = clock,
            .entropy = entropy,
            .log = log,
            .public_url = "http://pki.test",
            .read_file = read,
            .read_key_file = read,
            .resolve_secret = [](const std::string&) { return Secret("open sesame"); },
            .decorate_signer = [](auto signer) { return signer; }};
  }

  // `more` is merged into the least that a local backend needs.
  backends::Backend backend(const Json& more = Json::object()) {
    Json options = {{"type", "local"},
                    {"certificate", "issuer.pem"},
                    {"key", "issuer.key"},
                    {"root", "root.pem"}};
    options.update(more);
    return backends::make_backend("local", JsonObject(options, "backends.local"), context());
  }

  ManualClock& clock;
  SeededEntropy entropy;
  Log log;
  CaFile root, issuer;
  std::map<std::string, std::string> files;
};

}  // namespace gatehouse::testing
