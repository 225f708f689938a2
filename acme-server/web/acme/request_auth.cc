#include "acme-server/web/acme/request_auth.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/core/account.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/jws.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/http/http.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/web/acme/key_cache.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/api.h"
#include "acme-server/web/links.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {
namespace {

constexpr std::string_view kMediaType = "application/jose+json";
constexpr std::size_t kSampleLength = 120;

// RFC 8555 section 6.2: "the Content-Type header field set to "application/jose+json". If a request
// does not meet this requirement, then the server MUST return a response with status code 415". The
// type has no parameters.
void check_media_type(const http::Request& request) {
  const auto is_content_type = [](const http::Header& header) {
    return equals_ignoring_case(header.name, "Content-Type");
  };
  const std::string* type = http::find_header(request.headers, "Content-Type");
  if (type != nullptr && equals_ignoring_case(trim(*type), kMediaType) &&
      std::ranges::count_if(request.headers, is_content_type) == 1) {
    return;
  }
  reject({.type = ProblemType::malformed,
          .detail = "Content-Type is " +
                    (type == nullptr ? "missing" : "\"" + sanitize(*type, kSampleLength) + "\"") +
                    "; send " + std::string(kMediaType) + ".",
          .status = 415});
}

// The URL of the request under the earlier origin that its Host names; nothing when it names none.
// Where the Host is another, a request that was signed for the earlier name is refused: whoever has
// that name now could have relayed it.
std::optional<std::string> former_url(const Call& call) {
  const std::string* const host = http::find_header(call.request.headers, "Host");
  if (host == nullptr) return std::nullopt;
  for (const std::string& prefix : call.directory->previous_account_urls) {
    const std::optional<Url> url = parse_url(prefix);
    if (url && equals_ignoring_case(url->authority(), *host)) {
      return url->origin() + call.request.target;
    }
  }
  return std::nullopt;
}

[[noreturn]] void reject_inactive(const Account& account) {
  // RFC 8555 section 7.3.6: "the server MUST reject all further requests authorized by that
  // account's key" with status 401 and type unauthorized.
  reject({.type = ProblemType::unauthorized,
          .detail = account.status == AccountStatus::deactivated
                        ? "The account is deactivated. Make a new account with another key."
                        : "The account was revoked by this server.",
          .status = 401});
}

// RFC 8555 section 6.2: the problem lists what would have been taken, so what the key policy
// forbids is not in it.
std::vector<std::string> algorithms_under(const crypto::KeyPolicy& policy) {
  std::vector<std::string> names;
  for (const crypto::KeyTypeName& known : crypto::kKeyTypes) {
    if (std::ranges::find(policy.allowed, known.type) != policy.allowed.end()) {
      names.emplace_back(known.jws_algorithm);
    }
  }
  return names;
}

void check_signature(const crypto::Jws& jws, const KeyCache::Key& key) {
  if (!crypto::verify_jws(jws, key.type, *key.key)) {
    reject(ProblemType::malformed, "The signature does not verify: " + jws.algorithm + " with an " +
                                       crypto::describe(key.type) +
                                       " key. Sign protected \".\" payload, as sent, with the "
                                       "key that the protected header names.");
  }
}

// Revocation takes any key that a certificate of ours may have had, also under rules of earlier
// times.
crypto::KeyPolicy widened(crypto::KeyPolicy policy) {
  const crypto::KeyPolicy usual;
  policy.allowed = usual.allowed;
  policy.rsa_min_bits = std::min(policy.rsa_min_bits, usual.rsa_min_bits);
  policy.rsa_max_bits = std::max(policy.rsa_max_bits, usual.rsa_max_bits);
  return policy;
}

}  // namespace

std::optional<AccountId> account_at(const Links& links, const service::Directory& directory,
                                    std::string_view url) {
  if (auto id = links.account_of(directory.name, url)) return id;
  for (const std::string& prefix : directory.previous_account_urls) {
    if (url.starts_with(prefix) && is_url_id(url.substr(prefix.size()))) {
      return AccountId(std::string(url.substr(prefix.size())));
    }
  }
  return std::nullopt;
}

void reject_jws(const crypto::JwsError& error, const crypto::KeyPolicy& policy) {
  using Kind = crypto::JwsError::Kind;
  switch (error.kind) {
    case Kind::malformed:
    case Kind::bad_nonce_syntax:
      // RFC 8555 section 6.5.2: a nonce that is not base64url is malformed, not badNonce.
      reject(ProblemType::malformed, error.detail);
    case Kind::bad_public_key:
      reject(ProblemType::badPublicKey, error.detail);
    case Kind::bad_algorithm:
      reject({.type = ProblemType::badSignatureAlgorithm,
              .detail = error.detail,
              .algorithms = algorithms_under(policy)});
  }
  ACME_CHECK(false);
  throw std::logic_error("unreachable");
}

RequestAuth::RequestAuth(Api& api) : api_(api), misspelt_(api.context.log) {}

void RequestAuth::look_at_members(const Call& call, const crypto::Jws& jws) {
  const std::string* const agent = http::find_header(call.request.headers, "User-Agent");
  misspelt_.look_at(jws.payload, agent == nullptr ? "" : std::string_view(*agent));
}

crypto::Jws RequestAuth::open_envelope(const Call& call) const {
  check_media_type(call.request);
  auto jws = crypto::parse_jws(call.request.body);
  if (!jws) {
    reject_jws(jws.error(), call.directory->account_keys);
  }
  return std::move(*jws);
}

Account RequestAuth::account_behind(const Call& call, const crypto::Jws& jws) {
  if (!jws.kid) {
    reject(ProblemType::malformed,
           "The protected header has a jwk; name the account by its URL in kid instead.");
  }
  const std::optional<AccountId> id = account_at(api_.links, *call.directory, *jws.kid);
  if (!id) {
    reject(ProblemType::malformed, "The JWS header kid \"" + sanitize(*jws.kid, kSampleLength) +
                                       "\" is no account URL of this directory; send the Location "
                                       "of the newAccount response as it is.");
  }
  std::optional<Account> account = api_.accounts.get(call.directory->name, *id);
  if (!account) {
    reject(ProblemType::accountDoesNotExist,
           "There is no account " + sanitize(*jws.kid, kSampleLength) + ".");
  }
  if (account->status != AccountStatus::valid) {
    reject_inactive(*account);
  }
  return std::move(*account);
}

KeyCache::Key RequestAuth::key_of(const Account& account) {
  if (std::optional<KeyCache::Key> held = keys_.find(account.key_thumbprint)) {
    return *held;
  }
  // The key passed the key policy when the account was made or its key was changed.
  const auto jwk = crypto::parse_jwk(parse_json(account.key_jwk));
  if (!jwk) {
    throw std::runtime_error("the stored key of account " + account.id.str() +
                             " does not read: " + jwk.error());
  }
  KeyCache::Key key{.type = jwk->type, .key = crypto::make_public_key(*jwk)};
  keys_.put(account.key_thumbprint, key);
  return key;
}

void RequestAuth::check_freshness(const Call& call, const crypto::Jws& jws) {
  if (!jws.nonce) {
    reject(ProblemType::badNonce,
           "The protected header has no nonce; send the Replay-Nonce of this response.");
  }
  crash_point("nonce.redeeming");
  if (!api_.nonces.redeem(*jws.nonce)) {
    reject(ProblemType::badNonce,
           "The nonce was used before, is too old or is none of ours; send the Replay-Nonce of "
           "this response.");
  }
  // RFC 8555 section 6.4: "the server MUST reject the request as unauthorized". Character for
  // character, against the URL that we gave out: no forwarded header is looked at, and Host only to
  // tell a request that came under an earlier name of ours (ADR 0025).
  const std::string expected = api_.links.of_target(call.request.target);
  if (jws.url != expected && jws.url != former_url(call)) {
    reject(ProblemType::unauthorized,
           "The JWS header url is \"" + sanitize(jws.url, kSampleLength) +
               "\", and the request went to " + sanitize(expected, kSampleLength) + ".");
  }
}

SignedByAccount RequestAuth::prove_account(const Call& call, crypto::Jws jws) {
  Account account = account_behind(call, jws);
  check_signature(jws, key_of(account));
  if (call.signer != nullptr) *call.signer = account.id;
  check_freshness(call, jws);
  look_at_members(call, jws);
  return {call, std::move(jws), std::move(account)};
}

SignedByKey RequestAuth::prove_key(const Call& call, crypto::Jws jws,
                                   const crypto::KeyPolicy& policy) {
  if (!jws.jwk) {
    reject(ProblemType::malformed,
           "The protected header has a kid; this request is signed with its own key, in jwk.");
  }
  crypto::Jwk key = *jws.jwk;
  if (const std::optional<std::string> why = crypto::why_refused(key, policy)) {
    reject(ProblemType::badPublicKey, *why);
  }
  check_signature(jws, {.type = key.type, .key = crypto::make_public_key(key)});
  check_freshness(call, jws);
  look_at_members(call, jws);
  return {call, std::move(jws), std::move(key)};
}

PostAsGet RequestAuth::to_reader(const Call& call, SignedByAccount proof) {
  // RFC 8555 section 6.3: "the "payload" field is a zero-length octet string". "{}" is something
  // else.
  if (!proof.payload().empty()) {
    reject(ProblemType::malformed,
           "This resource is only read; send the empty string as payload (POST-as-GET).");
  }
  crypto::Jws jws = proof.jws();
  return {call, std::move(jws), std::move(proof.account_)};
}

ProvenEndpoint RequestAuth::by_account(ForAccount handler) {
  return ProvenEndpoint([this, handler](const Call& call) {
    return handler(api_, prove_account(call, open_envelope(call)));
  });
}

ProvenEndpoint RequestAuth::by_key(ForKey handler) {
  return ProvenEndpoint([this, handler](const Call& call) {
    return handler(api_, prove_key(call, open_envelope(call), call.directory->account_keys));
  });
}

ProvenEndpoint RequestAuth::reading(ForReader handler) {
  return ProvenEndpoint([this, handler](const Call& call) {
    return handler(api_, to_reader(call, prove_account(call, open_envelope(call))));
  });
}

ProvenEndpoint RequestAuth::by_either(ForAccount account_handler, ForKey key_handler) {
  return ProvenEndpoint([this, account_handler, key_handler](const Call& call) -> Answer {
    crypto::Jws jws = open_envelope(call);
    if (jws.kid) {
      return account_handler(api_, prove_account(call, std::move(jws)));
    }
    return key_handler(api_,
                       prove_key(call, std::move(jws), widened(call.directory->certificate_keys)));
  });
}

ProvenEndpoint RequestAuth::reading_or_by_account(ForReader reader, ForAccount handler) {
  return ProvenEndpoint([this, reader, handler](const Call& call) -> Answer {
    SignedByAccount proof = prove_account(call, open_envelope(call));
    return proof.payload().empty() ? reader(api_, to_reader(call, std::move(proof)))
                                   : handler(api_, proof);
  });
}

}  // namespace gatehouse::web
