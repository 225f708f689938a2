#include "bench/filler.h"

#include <chrono>
#include <optional>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/core/account.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/audit.h"

namespace gatehouse::bench {

namespace {

// What a certificate with its issuer, a TBSCertificate, its expectation and a CSR take, on P-256, as the store keeps
// them. No column is compressed: what they say does not matter.
constexpr std::size_t kChainBytes = 1700;
constexpr std::size_t kRequestBytes = 900;
constexpr std::size_t kExpectationBytes = 600;
constexpr std::size_t kCsrBytes = 400;

std::string text_of_length(Entropy& entropy, std::size_t length) {
  std::string text;
  while (text.size() < length) text += random_token(entropy);
  text.resize(length);
  return text;
}

std::string hash_of(const std::string& text) {
  return crypto::sha256_hex(as_bytes(text));
}

}  // namespace

Filler::Filler(Entropy& entropy)
    : entropy_(entropy),
      chain_(text_of_length(entropy, kChainBytes)),
      request_(text_of_length(entropy, kRequestBytes)),
      expected_(text_of_length(entropy, kExpectationBytes)),
      csr_(text_of_length(entropy, kCsrBytes)) {}

void Filler::add_accounts(store::Tx& tx, std::size_t count, Instant at) {
  for (std::size_t i = 0; i < count; ++i) {
    const Account account{.id = AccountId(random_row_id(entropy_, at)),
                          .directory = directory_,
                          .key_thumbprint = random_token(entropy_),
                          .key_jwk = text_of_length(entropy_, 130),
                          .key_spki_sha256 = hash_of(random_token(entropy_)),
                          .contacts = {},
                          .status = AccountStatus::valid,
                          .terms_agreed = "",
                          .created = at};
    tx.accounts().insert(account);
    accounts_.push_back(account.id);
  }
}

void Filler::append(store::Tx& tx, const Order& order, std::string_view kind) {
  const bool of_authorization = kind.starts_with("authorization");
  store::AuditEvent event{.kind = std::string(kind),
                          .actor = order.account.value(),
                          .directory = directory_,
                          .account = order.account,
                          .order = of_authorization ? std::nullopt : std::optional(order.id),
                          .authorization = of_authorization
                                               ? std::optional(order.authorizations.front())
                                               : std::nullopt,
                          .certificate = std::nullopt};
  event.details["identifiers"] = order.identifiers.front().value;
  event.details["request"] = csr_.substr(0, 100);
  tx.audit().append(event);
}

Order Filler::add_order(store::Tx& tx, std::size_t number, Instant at) {
  const Identifier name{.type = IdentifierType::dns,
                        .value = "stored-" + std::to_string(number) + ".fill.bench.test"};
  const AccountId& account = accounts_[number % accounts_.size()];
  const Authorization authorization{.id = AuthorizationId(random_row_id(entropy_, at)),
                                    .directory = directory_,
                                    .account = account,
                                    .identifier = name,
                                    .profile = "default",
                                    .status = AuthorizationStatus::valid,
                                    .expires = at + std::chrono::days(10),
                                    .created = at,
                                    .challenges = {{.id = ChallengeId(random_row_id(entropy_, at)),
                                                    .type = "http-01",
                                                    .token = random_token(entropy_),
                                                    .status = ChallengeStatus::valid,
                                                    .validated = at,
                                                    .error = std::nullopt,
                                                    .attempts = 1,
                                                    .next_attempt = std::nullopt}}};
  tx.authorizations().insert(authorization);
  const Order order{.id = OrderId(random_row_id(entropy_, at)),
                    .directory = directory_,
                    .account = account,
                    .profile = "default",
                    .identifiers = {name},
                    .authorizations = {authorization.id},
                    .not_before = std::nullopt,
                    .not_after = std::nullopt,
                    .created = at,
                    .expires = at + std::chrono::days(7),
                    .finalization = std::nullopt,
                    .certificate = std::nullopt,
                    .error = std::nullopt};
  tx.orders().insert(order);
  append(tx, order, "order.created");
  return order;
}

store::Issuance Filler::add_intent(store::Tx& tx, const Order& order, Instant at) {
  tx.orders().finalize(*order.account, order.id, {.csr = csr_, .at = at});
  const store::Issuance issuance{.id = IssuanceId(random_row_id(entropy_, at)),
                                 .order = order.id,
                                 .backend = "local",
                                 .issuer = IssuerId(hash_of("issuer")),
                                 .serial = hash_of(order.id.str()).substr(0, 36),
                                 .profile = "default",
                                 .profile_hash = hash_of("profile"),
                                 .key_policy_hash = hash_of("policy"),
                                 .spki_sha256 = hash_of(order.authorizations.front().str()),
                                 .request = request_,
                                 .poll = "",
                                 .crl_url = "http://localhost/crl/0.crl",
                                 .not_before = at,
                                 .not_after = at + std::chrono::days(90),
                                 .expected = expected_,
                                 .created = at,
                                 .state = store::IssuanceState::issued};
  tx.issuances().insert(issuance);
  append(tx, order, "order.finalized");
  append(tx, order, "certificate.intent");
  return issuance;
}

void Filler::add_certificate(store::Tx& tx, const Order& order, const store::Issuance& issuance,
                             Instant at) {
  const CertificateRecord certificate{.id = CertificateId(random_row_id(entropy_, at)),
                                      .directory = directory_,
                                      .account = order.account,
                                      .order = order.id,
                                      .issuance = issuance.id,
                                      .backend = "local",
                                      .issuer = issuance.issuer,
                                      .serial = issuance.serial,
                                      .spki_sha256 = issuance.spki_sha256,
                                      .identifiers = order.identifiers,
                                      .not_before = issuance.not_before,
                                      .not_after = issuance.not_after,
                                      .crl_url = issuance.crl_url,
                                      .chain_pem = chain_,
                                      .alternate_chains_pem = {},
                                      .issued_at = at,
                                      .revocation = std::nullopt};
  tx.certificates().insert(certificate);
  tx.orders().complete(order.id, certificate.id);
  append(tx, order, "certificate.issued");
  append(tx, order, "order.valid");
}

void Filler::add_issued(store::Tx& tx, std::size_t number, Instant at) {
  const Order order = add_order(tx, number, at);
  append(tx, order, "authorization.challenge_ready");
  append(tx, order, "authorization.valid");
  const store::Issuance issuance = add_intent(tx, order, at);
  append(tx, order, "certificate.submitted");
  add_certificate(tx, order, issuance, at);
}

}  // namespace gatehouse::bench
