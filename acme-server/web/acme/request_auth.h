// Request authentication (RFC 8555 sections 6.2 to 6.5): from the body of a POST to a proof of who
// sent it.
//
// A proof is a value that only RequestAuth can make. Whoever changes or shows anything takes one as
// an argument, so a handler that forgot to ask does not compile (tests/web/must_not_compile).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/core/account.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/jws.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/http/http.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/web/acme/key_cache.h"
#include "acme-server/web/acme/misspelt_members.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/links.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

struct Api;

// What all proofs have in common. Lives no longer than the request.
class Proof {
 public:
  // The rules of the directory that the request went to.
  const service::Directory& directory() const { return *call_.directory; }

  const std::string& parameter(std::string_view name) const { return call_.parameter(name); }

  // Who sent the request: see Call.
  const std::string& client() const { return call_.client; }

  // The request's URL: what was signed and what it was sent to.
  const std::string& url() const { return jws_.url; }

 protected:
  Proof(const Call& call, crypto::Jws jws) : call_(call), jws_(std::move(jws)) {}

  const crypto::Jws& jws() const { return jws_; }

 private:
  const Call& call_;
  crypto::Jws jws_;
};

// Signed by the key of `account`, which was valid when the request came in.
class SignedByAccount : public Proof {
 public:
  const Account& account() const { return account_; }

  const std::string& payload() const { return jws().payload; }

 private:
  friend class RequestAuth;

  SignedByAccount(const Call& call, crypto::Jws jws, Account account)
      : Proof(call, std::move(jws)), account_(std::move(account)) {}

  Account account_;
};

// Signed by `key`, which the request itself brings.
class SignedByKey : public Proof {
 public:
  const crypto::Jwk& key() const { return key_; }

  const std::string& payload() const { return jws().payload; }

 private:
  friend class RequestAuth;

  SignedByKey(const Call& call, crypto::Jws jws, crypto::Jwk key)
      : Proof(call, std::move(jws)), key_(std::move(key)) {}

  crypto::Jwk key_;
};

// Signed by the key of `account`, with an empty payload: the right to read, and no more (RFC 8555
// section 6.3).
class PostAsGet : public Proof {
 public:
  const Account& account() const { return account_; }

 private:
  friend class RequestAuth;

  PostAsGet(const Call& call, crypto::Jws jws, Account account)
      : Proof(call, std::move(jws)), account_(std::move(account)) {}

  Account account_;
};

// Checks in this order, and stops at the first that fails: media type; shape and algorithm of the
// JWS, `kid` or `jwk` as the endpoint wants; account and its status; key policy; signature; nonce;
// URL; an empty payload where one reads. The signature stands before the nonce, so that nobody can
// use up the nonce of another's request (docs/adr/0009-nonces.md).
//
// Safe from any thread; `api` outlives it, and so does it the endpoints it makes.
class RequestAuth {
 public:
  explicit RequestAuth(Api& api);

  // What an account changes may begin a job, and its answer wait for that.
  using ForAccount = Answer (*)(Api&, const SignedByAccount&);
  using ForKey = http::Response (*)(Api&, const SignedByKey&);
  using ForReader = http::Response (*)(Api&, const PostAsGet&);

  ProvenEndpoint by_account(ForAccount handler);
  ProvenEndpoint by_key(ForKey handler);
  ProvenEndpoint reading(ForReader handler);
  // `kid` or `jwk`, as the client chose (RFC 8555 section 7.6).
  ProvenEndpoint by_either(ForAccount account_handler, ForKey key_handler);
  // An empty payload reads, any other changes.
  ProvenEndpoint reading_or_by_account(ForReader reader, ForAccount handler);

 private:
  crypto::Jws open_envelope(const Call& call) const;
  SignedByAccount prove_account(const Call& call, crypto::Jws jws);
  SignedByKey prove_key(const Call& call, crypto::Jws jws, const crypto::KeyPolicy& policy);
  static PostAsGet to_reader(const Call& call, SignedByAccount proof);
  Account account_behind(const Call& call, const crypto::Jws& jws);
  KeyCache::Key key_of(const Account& account);
  void check_freshness(const Call& call, const crypto::Jws& jws);
  void look_at_members(const Call& call, const crypto::Jws& jws);

  Api& api_;
  KeyCache keys_;
  MisspeltMembers misspelt_;
};

// The account behind one of its URLs in that directory: what Links::account() gives, or what it
// gave under an earlier base URL (Directory::previous_account_urls). Character for character.
std::optional<AccountId> account_at(const Links& links, const service::Directory& directory,
                                    std::string_view url);

// Rejects with `error` as a problem: malformed, badPublicKey, or badSignatureAlgorithm with the
// algorithms that `policy` leaves.
[[noreturn]] void reject_jws(const crypto::JwsError& error, const crypto::KeyPolicy& policy);

}  // namespace gatehouse::web
