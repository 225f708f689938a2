#include "acme-server/service/operations/recovery.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/service/events.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/certificates.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

// Of a line of an audit log: room for a certificate with a hundred long names.
constexpr std::size_t kMaxLine = 1024 * 1024;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw std::runtime_error(name + ": " + why);
}

struct KnownShard {
  backends::CrlShard shard;
  crypto::Certificate issuer;
};

std::vector<KnownShard> shards_of(backends::BackendSet& backends) {
  std::vector<KnownShard> known;
  for (const backends::Backend* backend : backends.all()) {
    if (backend->crls == nullptr) continue;
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    for (const backends::CrlShard& shard : issuers->shards) {
      if (const backends::Issuer* issuer = issuers->find(shard.issuer)) {
        known.push_back({.shard = shard, .issuer = issuer->certificate});
      }
    }
  }
  return known;
}

// One run of recover().
class Recovery final {
 public:
  Recovery(store::Tx& tx, backends::BackendSet& backends)
      : tx_(tx), backends_(backends), shards_(shards_of(backends)), head_(tx.audit().head()) {}

  void check_issuers(const std::vector<IssuerId>& issuers) const;
  void take_crl(const RecoverySources::File& file);
  void take_replaced_crl(const std::string& octets);
  void take_audit_log(const RecoverySources::File& file);
  Recovered finish(const RecoverySources& sources);

 private:
  // The shard that the CRL is of; null when no issuer of the config has signed it for one.
  const backends::CrlShard* shard_of(const crypto::Crl& crl, const Bytes& der) const;
  void take(const backends::CrlShard& shard, const crypto::Crl& crl, const Bytes& der);
  void revoke(const IssuerId& issuer, const std::string& serial, Instant at, int reason,
              const std::string& url);
  void act_on(const store::AuditRow& row);
  bool signs_again(const std::string& backend) const;
  std::int64_t doubt_what_the_log_tells();
  std::int64_t doubt_what_may_have_been_sent();

  void saw_number(std::int64_t number) {
    done_.highest_number = std::max(done_.highest_number, number);
  }

  store::Tx& tx_;
  backends::BackendSet& backends_;
  std::vector<KnownShard> shards_;
  store::AuditHead head_;                    // of the database as recovered so far
  std::map<std::string, Instant> ends_;      // notAfter of what was issued since, by serial
  std::map<IssuanceId, OrderId> submitted_;  // since the backup, and not taken back
  std::size_t issued_ = 0, accounts_ = 0, orders_failed_ = 0, keys_changed_ = 0, keys_unknown_ = 0,
              foreign_crls_ = 0;
  Recovered done_;
};

void Recovery::check_issuers(const std::vector<IssuerId>& issuers) const {
  const bool ours = std::ranges::any_of(issuers, [&](const IssuerId& issuer) {
    return std::ranges::any_of(
        shards_, [&](const KnownShard& known) { return known.shard.issuer == issuer; });
  });
  if (ours || issuers.empty()) return;
  refuse("the backup",
         "is another CA's: no issuer that it has published a CRL for is in the config. Give the "
         "config that belongs to it, or --force-other-ca");
}

const backends::CrlShard* Recovery::shard_of(const crypto::Crl& crl, const Bytes& der) const {
  const auto known = std::ranges::find_if(shards_, [&](const KnownShard& candidate) {
    return candidate.shard.url == crl.head.distribution_point &&
           candidate.issuer.subject_name_der == crl.head.issuer_name_der &&
           crypto::crl_is_signed_by(der, candidate.issuer);
  });
  return known == shards_.end() ? nullptr : &known->shard;
}

void Recovery::take_crl(const RecoverySources::File& file) {
  const ByteView octets = as_bytes(file.content);
  const Bytes der(octets.begin(), octets.end());
  const auto crl = crypto::parse_crl(der);
  if (!crl) refuse(file.name, crl.error());
  const backends::CrlShard* shard = shard_of(*crl, der);
  if (shard == nullptr) {
    refuse(file.name,
           "is no CRL of an issuer that the config names; its signature, issuer or "
           "distribution point is another's");
  }
  take(*shard, *crl, der);
}

void Recovery::take_replaced_crl(const std::string& text) {
  const ByteView octets = as_bytes(text);
  const Bytes der(octets.begin(), octets.end());
  const auto crl = crypto::parse_crl(der);
  const backends::CrlShard* shard = crl ? shard_of(*crl, der) : nullptr;
  if (shard == nullptr) {
    ++foreign_crls_;
    return;
  }
  take(*shard, *crl, der);
}

void Recovery::take(const backends::CrlShard& shard, const crypto::Crl& crl, const Bytes& der) {
  for (const crypto::CrlEntry& entry : crl.entries) {
    revoke(shard.issuer, entry.serial, entry.revoked_at, entry.reason, shard.url);
  }
  saw_number(crl.head.number);
  // In force until the next one, so that no older CRL is served. A newer one may be in force
  // already.
  tx_.crls().put_whole({.issuer = shard.issuer,
                        .url = shard.url,
                        .file = shard.file,
                        .number = crl.head.number,
                        .this_update = crl.head.this_update,
                        .next_update = crl.head.next_update,
                        .entries = static_cast<std::int64_t>(crl.entries.size())},
                       der);
}

// `url` is the shard that listed the entry. Empty: unknown; then every shard of the issuer lists
// it, which does no harm.
void Recovery::revoke(const IssuerId& issuer, const std::string& serial, Instant at, int reason,
                      const std::string& url) {
  if (const auto record = tx_.certificates().by_serial(issuer, serial)) {
    if (tx_.certificates().revoke(record->id, {.at = at, .reason = reason})) ++done_.revoked;
    return;
  }
  bool first = true;
  for (const KnownShard& known : shards_) {
    if (known.shard.issuer != issuer || (!url.empty() && known.shard.url != url)) continue;
    const auto end = ends_.find(serial);
    const bool put = tx_.certificates().keep_revoked(
        issuer, known.shard.url, {.serial = serial, .at = at, .reason = reason},
        end != ends_.end() ? end->second : known.issuer.not_after);
    if (put && std::exchange(first, false)) ++done_.revoked_unknown;
  }
}

void Recovery::take_audit_log(const RecoverySources::File& file) {
  std::optional<store::AuditRow> previous;
  std::size_t number = 0;
  for (std::string_view line : split(file.content, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty()) continue;
    const std::string where = file.name + ":" + std::to_string(number);
    store::AuditRow row;
    try {
      if (line.size() > kMaxLine) throw JsonError("the line is longer than 1 MiB");
      const Json json = parse_json(line, {.depth = 12, .members = 100'000});
      row = store::audit_row_of(json);
    } catch (const JsonError& error) {
      refuse(where, std::string("is no line of the audit log: ") + error.what());
    }
    if (!previous) {
      if (row.sequence > head_.sequence + 1) {
        refuse(where, "the log begins with event " + std::to_string(row.sequence) +
                          ", the backup ends with event " + std::to_string(head_.sequence) +
                          "; give the events between them as well");
      }
      if (row.sequence > 1) {
        const auto before = tx_.audit().list(row.sequence - 2, 1);
        previous = before.at(0);
      }
    }
    const std::string hash = previous ? previous->hash : std::string();
    const std::int64_t expected = previous ? previous->sequence + 1 : 1;
    if (row.sequence != expected || store::chained_hash(hash, row) != row.hash) {
      refuse(where,
             "event " + std::to_string(row.sequence) +
                 " does not follow from the one before it; the log is another database's, or "
                 "was changed");
    }
    if (row.sequence > head_.sequence) {
      act_on(row);
      tx_.audit().put_back(row);
      head_ = {.sequence = row.sequence, .hash = row.hash};
      ++done_.events;
    } else {
      const auto ours = tx_.audit().list(row.sequence - 1, 1);
      if (ours.empty() || ours.front().hash != row.hash) {
        refuse(where, "event " + std::to_string(row.sequence) +
                          " is not the backup's; the log is another database's");
      }
    }
    previous = std::move(row);
  }
}

void Recovery::act_on(const store::AuditRow& row) {
  const store::AuditEvent& event = row.event;
  const JsonObject details(event.details, "details");
  if (event.kind == "certificate.issued") {
    ++issued_;
    if (const auto end = from_rfc3339(details.optional_string("not_after").value_or(""))) {
      ends_[details.optional_string("serial").value_or("")] = *end;
    }
  } else if (event.kind == "certificate.revoked") {
    const std::int64_t code = details.optional_integer("reason", 0, 10).value_or(0);
    const int reason = code == 7 ? 0 : static_cast<int>(code);  // 7 is no reason (RFC 5280)
    const IssuerId issuer(details.string("issuer"));
    const std::string& serial = details.string("serial");
    revoke(issuer, serial, row.at, reason, "");
    if (!details.optional_bool("key_blocked").value_or(false)) return;
    if (const auto record = tx_.certificates().by_serial(issuer, serial)) {
      tx_.blocked_keys().add(record->spki_sha256, row.at,
                             "certificate " + record->id.str() + " was reported compromised");
      ++done_.keys_blocked;
    } else {
      ++keys_unknown_;
    }
  } else if (event.kind == "certificate.submitted" && event.order) {
    submitted_[IssuanceId(details.string("issuance"))] = *event.order;
  } else if (event.kind == "certificate.not_sent") {
    submitted_.erase(IssuanceId(details.string("issuance")));
  } else if (event.kind == "account.deactivated" && event.account && event.directory) {
    if (tx_.accounts().deactivate(*event.directory, *event.account)) ++done_.accounts_deactivated;
  } else if (event.kind == "account.created") {
    ++accounts_;
  } else if (event.kind == "account.key_changed") {
    ++keys_changed_;
    done_.unknown.push_back("account " + (event.account ? event.account->str() : "?") +
                            " changed its key at " + to_rfc3339(row.at) +
                            "; the key before is its key again: deactivate it if that one may be "
                            "known to others");
  } else if (event.kind == "crl.published") {
    saw_number(details.optional_integer("number", 0, std::numeric_limits<std::int64_t>::max())
                   .value_or(0));
  }
}

// Whether it gives the same certificate for an intent however often it is told to. A backend that
// the config does not name is not asked anything.
bool Recovery::signs_again(const std::string& backend) const {
  const backends::Backend* found = backends_.find(backend);
  return found != nullptr && found->certificates->repeatable();
}

// An intent that has been submitted is asked about, by resume(), and never submitted again. An
// order whose intent the backup does not have may have its certificate already: it is not to get
// another. Gives how many are asked about.
std::int64_t Recovery::doubt_what_the_log_tells() {
  std::int64_t count = 0;
  for (const auto& [id, order_id] : submitted_) {
    const auto intent = tx_.issuances().get(id);
    if (intent) {
      if (!signs_again(intent->backend) && tx_.issuances().move(id, store::IssuanceState::prepared,
                                                                store::IssuanceState::submitted)) {
        ++count;
      }
      continue;
    }
    const auto order = tx_.orders().get(order_id);
    const Problem problem{.type = ProblemType::serverInternal,
                          .detail =
                              "This server was restored from a backup, which does not have "
                              "the certificate of this order; make a new order."};
    if (order && tx_.orders().fail(order_id, problem)) {
      tx_.audit().append(order_failed_event(*order, problem));
      ++orders_failed_;
    }
  }
  return count;
}

// Nobody tells what was submitted since the backup.
std::int64_t Recovery::doubt_what_may_have_been_sent() {
  std::int64_t count = 0;
  for (const backends::Backend* backend : backends_.all()) {
    if (backend->certificates->repeatable()) continue;
    count += tx_.issuances().move_all(backend->name, store::IssuanceState::prepared,
                                      store::IssuanceState::submitted);
  }
  return count;
}

Recovered Recovery::finish(const RecoverySources& sources) {
  const std::int64_t in_force = tx_.crls().highest_number();
  saw_number(in_force);
  tx_.crls().raise_floor(done_.highest_number);
  tx_.jobs().hasten(tx_.job_now());
  const auto say = [&](bool when, std::string sentence) {
    if (when) done_.unknown.push_back(std::move(sentence));
  };
  say(issued_ > 0, std::to_string(issued_) +
                       " certificates were issued since the backup; they are valid, but cannot be "
                       "downloaded or listed, and only revoked by way of this log");
  const std::int64_t asked_about =
      sources.audit_logs.empty() ? doubt_what_may_have_been_sent() : doubt_what_the_log_tells();
  say(asked_about > 0, std::to_string(asked_about) +
                           " requests to a CA elsewhere were or may have been sent since the "
                           "backup; none is sent again, each is asked about, and where the CA "
                           "cannot tell its order is in doubt (gatehouse status)");
  say(orders_failed_ > 0, std::to_string(orders_failed_) +
                              " orders were sent to their CA since the backup, which has no trace "
                              "of it; they have failed, and their clients make new ones");
  say(accounts_ > 0, std::to_string(accounts_) +
                         " accounts were made since; their clients have to register again");
  say(keys_unknown_ > 0, std::to_string(keys_unknown_) +
                             " keys of certificates issued since were reported compromised, and "
                             "cannot be blocked");
  say(foreign_crls_ > 0, std::to_string(foreign_crls_) +
                             " CRLs of the database before are of issuers that the config does not "
                             "name, and were passed over");
  say(sources.crls.empty() && sources.replaced_crls.empty(),
      "no CRL was given: revocations since the backup are known from the audit "
      "log alone");
  say(sources.audit_logs.empty(),
      "no audit log was given: accounts deactivated, keys blocked and certificates issued since "
      "the "
      "backup are not known, nor revocations behind the CRLs that were given");
  return std::move(done_);
}

}  // namespace

Recovered recover(store::Tx& tx, backends::BackendSet& backends, const RecoverySources& sources) {
  if (const auto why = tx.audit().why_broken()) refuse("the backup", *why);
  Recovery recovery(tx, backends);
  recovery.check_issuers(sources.issuers);
  // The log first: it has the end dates, until which entries must stay on the CRL.
  for (const auto& file : sources.audit_logs) recovery.take_audit_log(file);
  for (const auto& file : sources.crls) recovery.take_crl(file);
  for (const std::string& octets : sources.replaced_crls) recovery.take_replaced_crl(octets);
  Recovered done = recovery.finish(sources);
  tx.audit().append({.kind = "store.restored",
                     .actor = ServerPrincipal{},
                     .directory = std::nullopt,
                     .account = std::nullopt,
                     .order = std::nullopt,
                     .authorization = std::nullopt,
                     .certificate = std::nullopt,
                     .details = {{"revoked", done.revoked},
                                 {"revoked_unknown", done.revoked_unknown},
                                 {"accounts_deactivated", done.accounts_deactivated},
                                 {"keys_blocked", done.keys_blocked},
                                 {"events", done.events},
                                 {"highest_crl_number", done.highest_number}}});
  return done;
}

}  // namespace gatehouse::service
