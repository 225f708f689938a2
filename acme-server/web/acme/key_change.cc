// Account key rollover (RFC 8555 section 7.3.5). The outer JWS is proven by the old key; the inner
// one, its payload, by the new.
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "acme-server/base/json.h"
#include "acme-server/core/account.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/jws.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/http/http.h"
#include "acme-server/service/accounts/accounts.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

// What the inner JWS says, once it is known to be signed by the key that it brings.
struct Inner {
  crypto::Jwk new_key;
  std::string payload;
};

Inner open_inner(const SignedByAccount& proof) {
  const crypto::KeyPolicy& policy = proof.directory().account_keys;
  auto parsed = crypto::parse_jws(proof.payload());
  if (!parsed) {
    crypto::JwsError error = parsed.error();
    error.detail = "The inner JWS does not read: " + error.detail;
    reject_jws(error, policy);
  }
  crypto::Jws inner = std::move(*parsed);
  if (!inner.jwk) {
    reject(ProblemType::malformed, "The inner JWS has no jwk; put the new key there.");
  }
  if (inner.nonce) {
    reject(ProblemType::malformed, "The inner JWS has a nonce; leave it out there.");
  }
  if (inner.url != proof.url()) {
    reject(
        ProblemType::malformed,
        "The url of the inner JWS is not that of the outer one; send the keyChange URL in both.");
  }
  crypto::Jwk new_key = *inner.jwk;
  if (const std::optional<std::string> why = crypto::why_refused(new_key, policy)) {
    reject(ProblemType::badPublicKey, *why);
  }
  if (!crypto::verify_jws(inner, new_key.type, *crypto::make_public_key(new_key))) {
    reject(ProblemType::malformed,
           "The signature of the inner JWS does not verify; sign it with the new key.");
  }
  return {.new_key = std::move(new_key), .payload = std::move(inner.payload)};
}

struct Claim {
  std::string account;
  crypto::Jwk old_key;
};

Claim read_claim(const std::string& payload) {
  return read_payload(payload, [](const JsonObject& object) {
    const std::string& account = object.string("account");
    auto old_key = crypto::parse_jwk(object.object("oldKey").json());
    if (!old_key) {
      reject(ProblemType::malformed, "oldKey does not read: " + old_key.error());
    }
    return Claim{.account = account, .old_key = std::move(*old_key)};
  });
}

}  // namespace

Answer change_key(Api& api, const SignedByAccount& proof) {
  const Account& account = proof.account();
  const Inner inner = open_inner(proof);
  const Claim claim = read_claim(inner.payload);
  // Any URL of the account: a client need not have learned the one that it has now.
  if (account_at(api.links, proof.directory(), claim.account) != account.id) {
    reject(ProblemType::malformed,
           "The inner payload's account is not the kid of the outer JWS; send the account's URL in "
           "both.");
  }
  // All of the key is compared, not a hash of it and not a signature (duplicate-signature key
  // selection).
  if (crypto::canonical_json(claim.old_key) != account.key_jwk) {
    reject(ProblemType::malformed, "The inner payload's oldKey is not the account's key.");
  }
  const service::Accounts::KeyChange outcome =
      api.accounts.change_key(account, claim.old_key, inner.new_key, proof.client());
  if (const auto* const holder = std::get_if<AccountId>(&outcome)) {
    // "If there is an existing account with the new key […] SHOULD return a 409 (Conflict) response
    // and put the URL for that account in the Location header field".
    reject({.type = ProblemType::malformed,
            .detail = "An account has the new key already; make another key.",
            .status = 409,
            .location = api.links.account(account.directory, *holder)});
  }
  return json_response(200, account_json(std::get<Account>(outcome), api.links));
}

}  // namespace gatehouse::web
