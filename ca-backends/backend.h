// CertificateBackend: a CA that is never asked twice for one order.
//
// prepare() decides everything that determines the certificate and asks nobody; what it returns is
// stored durably before submit() is called, once. Every later time, also after a crash, resume()
// asks about the same certificate.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "ca-backends/expectation.h"
#include "ca-backends/issuers.h"

namespace gatehouse::backends {

// What a certificate is asked for with. Built from the order and its profile, never from the CSR
// but for the key.
struct IssueRequest {
  OrderId order;
  std::vector<Identifier> identifiers;
  Bytes csr_der;  // for a CA that wants one
  Bytes spki;     // SubjectPublicKeyInfo to certify
  Profile profile;
  std::optional<Instant> not_before, not_after;  // what the client asked for
  Instant now;
  std::optional<Instant> ordered = {};  // when it asked; now where nobody did
  // For a CA that keeps books of its own: whose order it is, none for the server's own, and the
  // intent that the request becomes.
  std::optional<AccountId> account = {};
  IssuanceId issuance = {};
};

// What must be durable before anything irrevocable happens. Only its backend can read `request` and
// `poll`.
struct Intent {
  std::string request;              // fixed once submitted: for the local CA the TBS, base64url
  std::string poll;                 // what the last Pending left for resume(); empty at first
  CertificateExpectation expected;  // what the certificate is held against; fixed once submitted

  friend bool operator==(const Intent&, const Intent&) = default;
};

struct Issued {
  std::string chain_pem;                          // leaf first
  std::vector<std::string> alternate_chains_pem;  // each leaf first
};

// The CA has not decided yet. `poll` replaces that of the intent; the rest of it stays as it is.
struct Pending {
  std::string poll;
  std::chrono::seconds ask_again_after;
};

struct Refused {
  Problem problem;          // the order's error
  std::string answer = {};  // what the CA said, for the operator
};

// The CA has certainly not received the request: no connection, no TLS, HTTP 401, 429 or 503. From
// submit() it means that the same intent may be submitted again; from resume() only that the
// question was not asked, and nothing about the request itself.
struct NotSent {
  std::string why;                                  // for the operator
  std::optional<std::chrono::seconds> retry_after;  // what the CA said (RFC 9110 section 10.2.3)
};

// The CA may or may not have issued, and cannot be asked. Never from a repeatable backend.
struct InDoubt {
  std::string what_to_check;  // for the operator
};

using IssueOutcome = std::variant<Issued, Pending, Refused, NotSent, InDoubt>;

// Throwing anywhere means "not now", and that nobody can tell whether the CA has the request: the
// job is retried with backoff, through resume(). A refusal is a value. Safe to call from many
// threads.
class CertificateBackend {
 public:
  virtual ~CertificateBackend() = default;

  // Decides the request and what its answer is held against: for a CA that signs what it is handed
  // everything, the very octets; else at least bounds. Asks nobody. Rejects (RequestRejected) what
  // the CA could never issue: names outside its constraints, and dates as leaf_validity()
  // (validity.h) does.
  virtual Intent prepare(const IssueRequest& request) = 0;

  // Why the CA could never certify `identifier`, in a sentence; nothing when it might. Asked at
  // newOrder, so that nobody proves control of a name in vain. prepare() looks again.
  virtual std::optional<std::string> why_never(const Identifier& /*identifier*/) const {
    return std::nullopt;
  }

  // Whether the CA issues with the dates that an order asks for. Where it does not, newOrder
  // refuses them.
  virtual bool takes_dates() const { return true; }

  // What would keep verifiers from accepting the certificate that prepare(request) decides: it is
  // verified with its chain, for its usages, when it begins and up to its end. Without identifiers
  // in `request` one is taken that the CA may certify. A sentence with the next step; nothing when
  // all is well, or when only the CA itself could tell. Rejects what prepare() rejects. Signs
  // nothing and asks nobody, so that no certificate comes to be without a stored intent.
  virtual std::optional<std::string> why_not_accepted(const IssueRequest& /*request*/) {
    return std::nullopt;
  }

  // True when the key signs only what it is handed: the stored intent may be signed again, however
  // often, and gives the same certificate. Such a backend never says InDoubt.
  virtual bool repeatable() const = 0;

  // Once per intent, and again only after it has said NotSent.
  virtual IssueOutcome submit(const Intent& intent, Deadline deadline) = 0;

  // Every later time. Repeatable: signs the stored TBS again.
  virtual IssueOutcome resume(const Intent& intent, Deadline deadline) = 0;

  // What an operator's `file` holds of the certificate that `intent` asked for: its leaf and the
  // chains that lead from it, as submit() would have given them. The leaf itself is not judged. The
  // error is a sentence. For a CA that may be in doubt: only its backend knows how its chains are
  // built.
  virtual Expected<Issued, std::string> read_certificate(std::string_view /*file*/,
                                                         const Intent& /*intent*/) {
    return Unexpected{std::string("its backend is never in doubt")};
  }

  // Why nothing can be issued just now, for readiness; nothing when it can. May ask its CA, for a
  // second or two.
  virtual std::optional<std::string> why_not_ready() { return std::nullopt; }

  // The issuers it signs under now or has signed under, as it knows them at this moment. Never
  // null; empty until its CA has been reached once. Who has renewed them calls
  // service::remember_issuers(), so that the store learns of it.
  virtual IssuersSnapshot issuers() const = 0;
};

// A CRL that we serve but cannot make: its key is elsewhere. The root's, renewed where the root's
// key is.
struct OfflineCrl {
  std::string file;  // the path it is served under
  Bytes der;
  Instant this_update, next_update;
};

// For a CA whose CRLs we make: one for each of the shards of issuers(), under the issuer's name.
class CrlSigner {
 public:
  virtual ~CrlSigner() = default;

  // Signs the CRL of one shard; the builder holds its entries. The signature is verified before it
  // returns.
  virtual Bytes sign_crl(const CrlShard& shard, std::int64_t number, Instant this_update,
                         Instant next_update, crypto::CrlBuilder entries) = 0;

  // The CRLs to be served besides, as they are now: a new file is seen without a restart. May read
  // files.
  virtual std::vector<OfflineCrl> offline_crls() { return {}; }
};

struct RevokeRequest {
  IssuerId issuer;
  std::string serial;
  std::string certificate_pem;
  int reason = 0;  // RFC 5280 section 5.3.1
};

struct RevokeOutcome {
  bool done = true;     // the CA knows it, now or from before
  std::string why_not;  // for the operator
};

// For a CA that must be told of revocations, since the CRLs or OCSP answers are its own.
class Revoker {
 public:
  virtual ~Revoker() = default;

  // Throwing means "not now", as does an outcome that is not done: the client is told to try again,
  // and nothing is recorded. May be called again for a certificate that the CA has revoked already.
  virtual RevokeOutcome revoke(const RevokeRequest& request, Deadline deadline) = 0;
};

// For a CA that can be tried out: `gatehouse backend check`.
class Probe {
 public:
  virtual ~Probe() = default;

  // Asks the CA whether requests would be taken, and enrols nothing. What it says, in lines for the
  // operator; the error is a sentence: what would fail, and the next step. May take up to the
  // deadline.
  virtual Expected<std::string, std::string> probe(Deadline deadline) = 0;
};

// A backend and its powers: what it can do besides issuing. Each power is an interface of its own,
// null where the CA has no such thing, else part of `certificates`.
struct Backend {
  std::string name;       // from the config: "local"
  std::string type = {};  // its line in the registry: "exec"
  std::unique_ptr<CertificateBackend> certificates;
  CrlSigner* crls = nullptr;   // null: the CA makes its CRLs itself
  Revoker* revoker = nullptr;  // null: nobody must be told; our own CRL says so
  Probe* probe = nullptr;      // null: there is nothing to ask
};

// Backends by name. Lookups of a name that is not there give nullptr. Backends are added at start;
// after that safe to call from many threads.
class BackendSet {
 public:
  void add(Backend backend);
  Backend* find(std::string_view name);
  const Backend* find(std::string_view name) const;
  std::vector<Backend*> all();
  std::vector<const Backend*> all() const;

  // By the backend's name: issuers that the store has kept and the backend does not have, or not
  // yet. The name may be of a backend that is not configured any more.
  using KeptIssuers = std::map<std::string, IssuersSnapshot, std::less<>>;

  // Replaces what was kept.
  void keep(KeptIssuers kept);

  // To be held by who stores the issuers and calls keep(): the newest of them must come last.
  std::unique_lock<std::mutex> lock_keeping() { return std::unique_lock(*keeping_); }

  // Every issuer whose certificates may be out there: each backend's own, then those that are kept.
  // Snapshots of one moment, to be held while their issuers are used.
  std::vector<IssuersSnapshot> known_issuers() const;
  // The same of the backend called `name`.
  std::vector<IssuersSnapshot> known_issuers(std::string_view name) const;

 private:
  std::map<std::string, Backend, std::less<>> backends_;
  std::unique_ptr<std::mutex> keeping_ = std::make_unique<std::mutex>();
  std::unique_ptr<Guarded<KeptIssuers>> kept_ = std::make_unique<Guarded<KeptIssuers>>();
};

}  // namespace gatehouse::backends
