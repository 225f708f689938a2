#include "acme-server/service/certificates/revocation.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/revocation_reason.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/service/certificates/crl_job.h"
#include "acme-server/service/certificates/unpublished_crls.h"
#include "acme-server/service/events.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

// What an account may say that shows no more than control of the names: that the certificate should
// go, not what became of its key or of its subject. Relying parties and blocklists act on such a
// claim, so it is left to the issuing account and to the key.
constexpr std::array kReasonsOfThirdParties = {0, 4, 5};

// RFC 8555 section 7.6: a server that does not take a reason "MUST return an error … and the
// problem document detail SHOULD indicate which reasonCodes are allowed".
int check_reason(std::optional<std::int64_t> reason) {
  const std::int64_t code = reason.value_or(0);
  if (is_revocation_reason(code, Revoked::end_entity)) return static_cast<int>(code);
  reject(ProblemType::badRevocationReason, "Reason " + std::to_string(code) +
                                               " is not accepted; allowed are " +
                                               list_revocation_reasons(Revoked::end_entity) + ".");
}

std::optional<Problem> why_not_for_third_party(int code) {
  if (std::ranges::find(kReasonsOfThirdParties, code) != kReasonsOfThirdParties.end()) {
    return std::nullopt;
  }
  std::vector<std::string> allowed;
  for (const int known : kReasonsOfThirdParties) {
    allowed.push_back(std::to_string(known) + " (" +
                      std::string(revocation_reason_name(known).value()) + ")");
  }
  return Problem{
      .type = ProblemType::badRevocationReason,
      .detail = "Reason " + std::to_string(code) +
                " is not accepted from an account that did not get the certificate; allowed are " +
                join(allowed, ", ") +
                ". Sign the request with the certificate's key or the issuing account to give "
                "another."};
}

crypto::Certificate parse(ByteView der) {
  auto certificate = crypto::parse_certificate(der);
  if (!certificate) {
    reject(ProblemType::malformed,
           "The certificate to be revoked cannot be read: " + certificate.error() + ".");
  }
  return std::move(*certificate);
}

// The row of `certificate`, which must be the very one we issued: looked up by its serial, then
// compared octet by octet, since another CA's certificate may carry the same serial. What is in the
// config does not matter: the owner of a certificate may revoke it (RFC 8555 section 7.6) when the
// backend that issued it is not there any more, too.
std::optional<CertificateRecord> find_ours(store::Tx& tx, const crypto::Certificate& certificate) {
  for (CertificateRecord& record : tx.certificates().with_serial(certificate.serial)) {
    const auto chain = crypto::parse_pem_chain(record.chain_pem);
    if (chain && chain->front().der == certificate.der) return std::move(record);
  }
  return std::nullopt;
}

Problem unauthorized(std::string detail) {
  return {.type = ProblemType::unauthorized, .detail = std::move(detail), .status = 403};
}

// RFC 8555 section 7.6: "The account that issued the certificate" or "An account that holds
// authorizations for all of the identifiers in the certificate", which may give fewer reasons.
std::optional<Problem> why_account_may_not(store::Tx& tx, const Account& asked,
                                           const CertificateRecord& certificate, int reason) {
  const auto account = tx.accounts().of(asked.directory, asked.id);
  if (!account || account->status != AccountStatus::valid) {
    return unauthorized("The account is not valid any more.");
  }
  if (certificate.account == account->id) return std::nullopt;
  for (const Identifier& identifier : certificate.identifiers) {
    if (!tx.authorizations().has_valid(account->id, identifier, tx.now())) {
      return unauthorized(
          "The certificate was issued to another account, and this one holds no valid "
          "authorization for \"" +
          identifier.value + "\"; get one, or sign the request with the certificate's own key.");
    }
  }
  return why_not_for_third_party(reason);
}

// Enqueues the CRL that `certificate` points to, where that is ours to make. Why the revocation
// reaches nobody for now, as a sentence for the operator: its backend was taken out of the config,
// or the backend does not publish that CRL any more. When the CRL is published again, the
// revocation is on it.
std::optional<std::string> enqueue_crl(store::Tx& tx, const backends::BackendSet& backends,
                                       const CertificateRecord& certificate,
                                       const std::string& job_id) {
  const PublishedCrls published = published_crls(backends);
  for (const backends::CrlShard& shard : published.made_here) {
    if (shard.issuer != certificate.issuer || shard.url != certificate.crl_url) continue;
    tx.jobs().enqueue(job_id, store::JobKind::publish_crl, CrlJob::subject_of(shard), tx.job_now());
    return std::nullopt;
  }
  if (is_published(published, certificate.backend, certificate.issuer, certificate.crl_url)) {
    return std::nullopt;
  }
  if (backends.find(certificate.backend) == nullptr) {
    return "backend " + certificate.backend + ", which issued it, is not in the config; put it " +
           "back, and the revocation is published on the CRL " + certificate.crl_url;
  }
  return explain_unpublished({.backend = certificate.backend,
                              .issuer = certificate.issuer,
                              .url = certificate.crl_url,
                              .last_end = certificate.not_after});
}

// Who revokes, in metrics.
constexpr std::string_view kByAccount = "account", kByKey = "key", kByOperator = "operator";

std::string_view kind_of(const Principal& actor) {
  if (std::holds_alternative<AccountId>(actor)) return kByAccount;
  if (std::holds_alternative<CertificateKeyHolder>(actor)) return kByKey;
  return kByOperator;
}

Counter revocations_of(Metrics& metrics, std::string_view by, int reason) {
  return metrics.counter(
      "gatehouse_revocations_total", "Certificates revoked, by reason and by who asked for it.",
      {{"by", std::string(by)},
       {"reason", std::string(revocation_reason_name(reason).value_or("other"))}});
}

}  // namespace

Revocation::Revocation(Context& context) : context_(context) {
  for (const std::string_view by : {kByAccount, kByKey, kByOperator}) {
    for (const RevocationReason& reason : kRevocationReasons) {
      if (is_revocation_reason(reason.code, Revoked::end_entity)) {
        revocations_of(context.metrics, by, reason.code);  // from 0 on
      }
    }
  }
}

void Revocation::by_account(const Account& account, ByteView certificate_der,
                            std::optional<std::int64_t> reason, const std::string& client) {
  const crypto::Certificate certificate = parse(certificate_der);
  const int code = check_reason(reason);
  revoke({.actor = account.id,
          .reason = code,
          .client = client,
          // An account reaches its own directory's certificates alone. What another directory has
          // issued is refused in the words for what nobody has issued.
          .unknown = "This is no certificate of this directory",
          .block_key = false,  // holding an account proves nothing about who else has the key
          .find =
              [&](store::Tx& tx) {
                auto record = find_ours(tx, certificate);
                if (record && record->directory != account.directory) record.reset();
                return record;
              },
          .why_not =
              [&](store::Tx& tx, const CertificateRecord& record) {
                return why_account_may_not(tx, account, record, code);
              }});
}

void Revocation::by_key(const crypto::Jwk& key, ByteView certificate_der,
                        std::optional<std::int64_t> reason, const std::string& client) {
  // Whoever holds the key may revoke at any directory of this server: what they prove is the same
  // everywhere.
  const crypto::Certificate certificate = parse(certificate_der);
  const std::string hash = crypto::spki_sha256(key);
  const int code = check_reason(reason);
  revoke({.actor = CertificateKeyHolder{hash},
          .reason = code,
          .client = client,
          .block_key = code == kKeyCompromise,
          .find = [&](store::Tx& tx) { return find_ours(tx, certificate); },
          .why_not =
              [&](store::Tx&, const CertificateRecord&) {
                return crypto::jwk_of_spki(certificate.spki) == key
                           ? std::optional<Problem>()
                           : unauthorized(
                                 "The request is not signed with the key of the "
                                 "certificate that it asks to be revoked.");
              }});
}

std::optional<std::string> Revocation::by_operator(const CertificateId& id, int reason,
                                                   const Principal& actor) {
  const int code = check_reason(reason);
  return revoke(
      {.actor = actor,
       .reason = code,
       .block_key = code == kKeyCompromise,
       .find =
           [&](store::Tx& tx) {
             auto found = tx.certificates().get(id);
             if (!found)
               reject(ProblemType::malformed, "There is no certificate " + id.str() + ".");
             return found;
           },
       .why_not = [](store::Tx&, const CertificateRecord&) { return std::optional<Problem>(); }});
}

std::optional<std::string> Revocation::revoke(const Request& request) {
  const CertificateRecord certificate = context_.store.read([&](store::Tx& tx) {
    auto found = request.find(tx);
    if (!found) {
      reject(ProblemType::malformed,
             request.unknown + ", byte for byte; send the leaf alone, as DER in base64url.");
    }
    if (const auto problem = request.why_not(tx, *found)) reject(*problem);
    return std::move(*found);
  });
  if (!certificate.revocation && certificate.not_after >= context_.clock.now()) {
    tell_backend(certificate, request.reason);
  }

  const std::string crl_job = random_row_id(context_.entropy, context_.job_clock.now());
  const std::string own_job = random_row_id(context_.entropy, context_.job_clock.now());
  std::optional<std::string> not_published;
  // A refusal is returned, not thrown: a compromised key is blocked even if its certificate needs
  // no revocation any more.
  const auto refusal = context_.store.write([&](store::Tx& tx) -> std::optional<Problem> {
    const auto now = tx.certificates().get(certificate.id);
    if (!now) {  // expired long ago, and pruned this very moment
      return Problem{
          .type = ProblemType::malformed,
          .detail = "The certificate expired long ago; there is nothing left to revoke."};
    }
    if (const auto problem = request.why_not(tx, *now)) return problem;
    if (request.block_key) {
      tx.blocked_keys().add(now->spki_sha256, tx.now(),
                            "certificate " + now->id.str() + " was reported compromised");
    }
    if (now->not_after < tx.now()) {
      return Problem{.type = ProblemType::malformed,
                     .detail = "The certificate expired at " + to_rfc3339(now->not_after) +
                               "; there is nothing left to revoke."};
    }
    if (!tx.certificates().revoke(now->id, {.at = tx.now(), .reason = request.reason})) {
      return Problem{.type = ProblemType::alreadyRevoked,
                     .detail = "The certificate was revoked before."};
    }
    not_published = enqueue_crl(tx, context_.backends, *now, crl_job);
    tx.audit().append({.kind = "certificate.revoked",
                       .actor = request.actor,
                       .directory = now->directory,
                       .account = now->account,
                       .order = now->order,
                       .authorization = std::nullopt,
                       .certificate = now->id,
                       .details = {{"issuer", now->issuer.str()},
                                   {"serial", now->serial},
                                   {"identifiers", json_of(now->identifiers)},
                                   {"client", request.client},
                                   {"reason", request.reason},
                                   {"key_blocked", request.block_key},
                                   {"published", !not_published.has_value()}}});
    const std::string own_subject = now->directory.str();
    if (!now->account && tx.jobs().exists(store::JobKind::own_certificate, own_subject)) {
      tx.jobs().enqueue(own_job, store::JobKind::own_certificate, own_subject, tx.job_now());
    }
    tx.after_commit(context_.wake);
    crash_point("certificate.revoking");
    return std::nullopt;
  });
  if (refusal) reject(*refusal);
  crash_point("certificate.revoked");
  revocations_of(context_.metrics, kind_of(request.actor), request.reason).add();
  if (not_published) {
    context_.log.error(
        "revocation.not_published",
        {{"certificate", certificate.id}, {"crl", certificate.crl_url}, {"why", *not_published}});
  }
  context_.log.info("certificate.revoked",
                    {{"certificate", certificate.id},
                     {"serial", certificate.serial},
                     {"names", names_of(certificate.identifiers)},
                     {"account", certificate.account ? certificate.account->str() : ""},
                     {"client", request.client},
                     {"reason", request.reason},
                     {"by", to_string(request.actor)}});
  return not_published;
}

// A CA elsewhere is told before we say that it is done; ours learns it from the row. No transaction
// is open.
void Revocation::tell_backend(const CertificateRecord& certificate, int reason) {
  backends::Backend* backend = context_.backends.find(certificate.backend);
  if (backend == nullptr || backend->revoker == nullptr) return;
  const auto outcome =
      backend->revoker->revoke({.issuer = certificate.issuer,
                                .serial = certificate.serial,
                                .certificate_pem = certificate.chain_pem,
                                .reason = reason},
                               Deadline::in(context_.policy.get()->server.issuance_timeout));
  if (outcome.done) return;
  context_.log.error("revocation.refused_by_backend",
                     {{"certificate", certificate.id}, {"why", outcome.why_not}});
  reject({.type = ProblemType::serverInternal,
          .detail = "The CA behind this server has not taken the revocation; try again later.",
          .status = 503});
}

}  // namespace gatehouse::service
