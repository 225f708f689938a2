// A CA of a root and nothing else, made by crypto's own functions: for tests that need
// certificates.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"
#include "tests/support/manual_clock.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/test_keys.h"

namespace gatehouse::testing {

inline constexpr std::chrono::days kDay{1};

// A certificate of `name` for `key`, to be completed by the test.
inline crypto::CertificateTemplate leaf_template(const TestKey& key, const std::string& name) {
  SeededEntropy entropy(7);
  crypto::CertificateTemplate result;
  result.serial = crypto::random_serial(entropy);
  result.not_before = kNoon;
  result.not_after = kNoon + 90 * kDay - std::chrono::seconds(1);
  result.spki = key.spki();
  result.dns_names = {name};
  result.key_usages = {"digitalSignature"};
  result.extended_key_usages = {"serverAuth"};
  return result;
}

inline crypto::CertificateTemplate ca_template(const TestKey& key, const std::string& name) {
  crypto::CertificateTemplate result = leaf_template(key, name);
  result.dns_names = {};
  result.extended_key_usages = {};
  result.common_name = name;
  result.is_ca = true;
  result.key_usages = {"keyCertSign", "cRLSign"};
  result.not_after = kNoon + 3650 * kDay;
  return result;
}

struct TestCa {
  std::unique_ptr<crypto::Signer> signer;
  crypto::Certificate certificate;

  // A self-signed CA with `key`.
  static TestCa root(const TestKey& key, const std::string& name = "Test Root") {
    return make(ca_template(key, name), key, nullptr);
  }

  // A CA certificate as `what` says, signed by `issuer`, or by itself.
  static TestCa make(crypto::CertificateTemplate what, const TestKey& key, const TestCa* issuer) {
    auto signer = crypto::load_signer(Secret(key.pem()), Secret());
    const Bytes der = issuer == nullptr ? crypto::sign_certificate(
                                              crypto::make_tbs(what, signer->algorithm()), *signer)
                                        : issuer->issue(std::move(what)).der;
    return {.signer = std::move(signer), .certificate = crypto::parse_certificate(der).value()};
  }

  // Issuer name, key identifier and signature are this CA's.
  crypto::Certificate issue(crypto::CertificateTemplate what) const {
    what.issuer_name_der = certificate.subject_name_der;
    what.authority_key_id = certificate.subject_key_id;
    return crypto::parse_certificate(
               crypto::sign_certificate(crypto::make_tbs(what, signer->algorithm()), *signer))
        .value();
  }
};

}  // namespace gatehouse::testing
