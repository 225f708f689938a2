#include "acme-server/service/issuance/intent.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/text.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/service/context.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"

namespace gatehouse::service {
namespace {

// "rsa, ec-p256"
std::string list_of(const std::vector<crypto::KeyType>& types) {
  std::vector<std::string> words;
  for (const crypto::KeyType type : types) words.emplace_back(crypto::to_string(type));
  return join(words, ", ");
}

void check_key(ByteView spki, const Profile& profile, const crypto::KeyPolicy& policy) {
  const std::optional<crypto::Jwk> key = crypto::jwk_of_spki(spki);
  if (!key) {
    reject(ProblemType::badCSR, "The CSR's key is of a type that this CA does not issue for.");
  }
  if (std::ranges::find(profile.key_types, key->type) == profile.key_types.end()) {
    reject(ProblemType::badCSR, "The CSR's key is of type " +
                                    std::string(crypto::to_string(key->type)) + "; profile " +
                                    profile.name + " takes " + list_of(profile.key_types) + ".");
  }
  if (const std::optional<std::string> why = crypto::why_refused(*key, policy)) {
    reject(ProblemType::badCSR, "The CSR's key is refused: " + *why);
  }
}

}  // namespace

store::Issuance prepare_issuance(Context& context, const Order& order, const Profile& profile,
                                 ByteView csr_der, ByteView spki) {
  // One snapshot for the check and for the hash that says which key policy it was made under.
  const std::shared_ptr<const Directory> directory = context.policy.directory(order.directory);
  check_key(spki, profile, directory->certificate_keys);
  backends::Backend* backend = context.backends.find(profile.backend);
  if (backend == nullptr) {
    throw std::runtime_error("profile " + profile.name + " names backend " + profile.backend +
                             ", which is not configured; add it or change the profile");
  }
  const Instant now = context.clock.now();
  const IssuanceId id(random_row_id(context.entropy, now));
  const backends::Intent intent =
      backend->certificates->prepare({.order = order.id,
                                      .identifiers = order.identifiers,
                                      .csr_der = Bytes(csr_der.begin(), csr_der.end()),
                                      .spki = Bytes(spki.begin(), spki.end()),
                                      .profile = profile,
                                      .not_before = order.not_before,
                                      .not_after = order.not_after,
                                      .now = now,
                                      .ordered = order.created,
                                      .account = order.account,
                                      .issuance = id});
  return {.id = id,
          .order = order.id,
          .backend = backend->name,
          .issuer = issuer_of(intent.expected),
          .serial = serial_of(intent.expected),
          .profile = profile.name,
          .profile_hash = hash_of(profile),
          .key_policy_hash = hash_of(directory->certificate_keys),
          .spki_sha256 = crypto::spki_sha256_of(spki),
          .request = intent.request,
          .poll = intent.poll,
          .crl_url = crl_url_of(intent.expected),
          .not_before = earliest_begin_of(intent.expected),
          .not_after = latest_end_of(intent.expected),
          .expected = print_expectation(intent.expected),
          .created = now,
          .state = store::IssuanceState::prepared};
}

std::optional<Problem> why_key_unusable(store::Tx& tx, const std::string& spki_sha256) {
  if (tx.blocked_keys().contains(spki_sha256)) {
    return Problem{.type = ProblemType::badCSR,
                   .detail = "The CSR's key is blocked; make a new one."};
  }
  // RFC 8555 section 11.1: an account's key is used for nothing else.
  if (tx.accounts().any_has_key(spki_sha256)) {
    return Problem{.type = ProblemType::badCSR,
                   .detail = "The CSR's key is an account's; make a key for the certificate."};
  }
  return std::nullopt;
}

backends::Intent intent_of(const store::Issuance& issuance, const Order& order,
                           const Profile* profile) {
  backends::Intent intent{.request = issuance.request, .poll = issuance.poll, .expected = {}};
  if (!issuance.expected.empty()) {
    intent.expected = backends::read_expectation(issuance.expected);
    return intent;
  }
  // A profile that has changed since is not what the certificate is made under.
  const bool same = profile != nullptr && hash_of(*profile) == issuance.profile_hash;
  intent.expected = backends::expectation_of_schema_4({.spki_sha256 = issuance.spki_sha256,
                                                       .names = order.identifiers,
                                                       .issuer = issuance.issuer,
                                                       .serial = issuance.serial,
                                                       .crl_url = issuance.crl_url,
                                                       .not_before = issuance.not_before,
                                                       .not_after = issuance.not_after},
                                                      same ? profile : nullptr);
  return intent;
}

}  // namespace gatehouse::service
