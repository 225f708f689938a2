// The budget's cryptographic parts, one by one: docs/performance.md adds them up.
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <string>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/jws.h"
#include "acme-server/crypto/signer.h"
#include "bench/load/signing_key.h"

namespace {

using namespace gatehouse;

std::string request_of(bench::SigningKey& key) {
  return key.jws(R"("kid":"https://localhost/acme/default/account/AaIZNpv4tfmd88hfysrF8YsmooqWhQ")",
                 "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8S",
                 "https://localhost/acme/default/new-order",
                 R"({"identifiers":[{"type":"dns","value":"www.bench.test"}]})");
}

void jws_parse(benchmark::State& state) {
  bench::SigningKey key;
  const std::string request = request_of(key);
  for (auto each : state) benchmark::DoNotOptimize(crypto::parse_jws(request));
}

void jws_verify_warm_key(benchmark::State& state) {
  bench::SigningKey key;
  const crypto::Jws jws = crypto::parse_jws(request_of(key)).value();
  const auto ready = crypto::make_public_key(crypto::parse_jwk(parse_json(key.jwk())).value());
  for (auto each : state) {
    benchmark::DoNotOptimize(crypto::verify_jws(jws, crypto::KeyType::ec_p256, *ready));
  }
}

void jws_verify_cold_key(benchmark::State& state) {
  bench::SigningKey key;
  const crypto::Jws jws = crypto::parse_jws(request_of(key)).value();
  for (auto each : state) {
    const auto jwk = crypto::parse_jwk(parse_json(key.jwk())).value();
    benchmark::DoNotOptimize(
        crypto::verify_jws(jws, crypto::KeyType::ec_p256, *crypto::make_public_key(jwk)));
  }
}

void csr_parse_and_verify(benchmark::State& state) {
  bench::SigningKey key;
  const Bytes csr = base64url_decode(key.csr("www.bench.test")).value();
  for (auto each : state) benchmark::DoNotOptimize(crypto::parse_csr(csr));
}

struct Issuer {
  std::unique_ptr<crypto::Signer> signer =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  std::unique_ptr<crypto::Signer> subject =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  OsEntropy entropy;
  Instant now = SystemClock().now();

  Bytes tbs() {
    crypto::CertificateTemplate leaf;
    leaf.serial = crypto::random_serial(entropy);
    leaf.issuer_name_der = crypto::make_name("Bench Issuer", "Bench");
    leaf.not_before = now;
    leaf.not_after = now + std::chrono::days(90);
    leaf.spki = subject->public_key();
    leaf.dns_names = {"www.bench.test"};
    leaf.key_usages = {"digitalSignature"};
    leaf.extended_key_usages = {"serverAuth"};
    leaf.authority_key_id = Bytes(20, 7);
    leaf.crl_url = "http://localhost/crl/0.crl";
    leaf.issuer_url = "http://localhost/issuer/0.cer";
    return crypto::make_tbs(leaf, signer->algorithm());
  }

  crypto::Certificate certificate() {
    crypto::CertificateTemplate authority;
    authority.serial = crypto::random_serial(entropy);
    authority.common_name = "Bench Issuer";
    authority.organization = "Bench";
    authority.not_before = now;
    authority.not_after = now + std::chrono::days(900);
    authority.spki = signer->public_key();
    authority.key_usages = {"keyCertSign", "cRLSign"};
    authority.is_ca = true;
    const Bytes tbs = crypto::make_tbs(authority, signer->algorithm());
    return crypto::parse_certificate(crypto::sign_certificate(tbs, *signer)).value();
  }
};

void leaf_make_tbs(benchmark::State& state) {
  Issuer issuer;
  for (auto each : state) benchmark::DoNotOptimize(issuer.tbs());
}

void leaf_sign(benchmark::State& state) {
  Issuer issuer;
  const Bytes tbs = issuer.tbs();
  for (auto each : state) benchmark::DoNotOptimize(crypto::sign_certificate(tbs, *issuer.signer));
}

void leaf_parse(benchmark::State& state) {
  Issuer issuer;
  const Bytes leaf = crypto::sign_certificate(issuer.tbs(), *issuer.signer);
  for (auto each : state) benchmark::DoNotOptimize(crypto::parse_certificate(leaf));
}

void leaf_verify(benchmark::State& state) {
  Issuer issuer;
  const auto authority = issuer.certificate();
  const auto leaf =
      crypto::parse_certificate(crypto::sign_certificate(issuer.tbs(), *issuer.signer)).value();
  for (auto each : state) benchmark::DoNotOptimize(crypto::is_signed_by(leaf, authority));
}

BENCHMARK(jws_parse);
BENCHMARK(jws_verify_warm_key);
BENCHMARK(jws_verify_cold_key);
BENCHMARK(csr_parse_and_verify);
BENCHMARK(leaf_make_tbs);
BENCHMARK(leaf_sign);
BENCHMARK(leaf_parse);
BENCHMARK(leaf_verify);

}  // namespace
