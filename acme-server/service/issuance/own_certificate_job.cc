#include "acme-server/service/issuance/own_certificate_job.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/secret.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

using std::chrono::seconds;

constexpr std::string_view kPendingOrder = "own_certificate.order";  // in State
constexpr std::string_view kKeySuffix = ".key";
constexpr std::size_t kHashDigits = 64;

crypto::NewKey require_key_kind(const Profile& profile) {
  if (const auto kind = lightest_key_kind(profile)) return *kind;
  throw std::runtime_error(
      "profile \"" + profile.name +
      "\" allows no key that this server can make for its own certificate; add "
      "ec-p256, ec-p384 or rsa to its key_types");
}

// When a certificate is to be renewed: at the last third of its validity; but not over and over
// where a profile's validity is hardly longer than its backdate.
Instant renewal_of(const CertificateRecord& record) {
  return std::max(record.not_after - (record.not_after - record.not_before) / 3,
                  record.issued_at + OwnCertificateJob::kAfterFailure);
}

bool is_key_name(const std::string& name) {
  return name.size() == kHashDigits + kKeySuffix.size() && name.ends_with(kKeySuffix) &&
         name.find_first_not_of("0123456789abcdef") == kHashDigits;
}

bool same_names(std::vector<Identifier> a, std::vector<Identifier> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

}  // namespace

std::optional<crypto::NewKey> lightest_key_kind(const Profile& profile) {
  const auto allows = [&](crypto::KeyType type) {
    return std::ranges::find(profile.key_types, type) != profile.key_types.end();
  };
  if (allows(crypto::KeyType::ec_p256)) return crypto::NewKey::p256;
  if (allows(crypto::KeyType::ec_p384)) return crypto::NewKey::p384;
  if (allows(crypto::KeyType::rsa)) return crypto::NewKey::rsa2048;
  return std::nullopt;
}

OwnCertificateJob::OwnCertificateJob(Context& context, OwnCertificateOptions options,
                                     std::function<void(const TlsIdentity&)> changed)
    : context_(context), options_(std::move(options)), changed_(std::move(changed)) {
  ACME_CHECK(!options_.identifiers.empty());
}

std::string OwnCertificateJob::key_path(const std::string& spki_sha256) const {
  return options_.key_directory + "/" + spki_sha256 + std::string(kKeySuffix);
}

const Profile& OwnCertificateJob::profile_of(const Directory& directory) const {
  const Profile* profile = directory.profile(options_.profile);
  if (profile == nullptr) {
    throw std::runtime_error("the server's own certificate is to have profile \"" +
                             options_.profile + "\", which is not configured");
  }
  return *profile;
}

std::optional<OwnCertificateJob::Identity> OwnCertificateJob::find_good() {
  const auto [record, now] = context_.store.read([&](store::Tx& tx) {
    return std::pair(tx.certificates().own(options_.directory, options_.identifiers), tx.now());
  });
  if (!record) return std::nullopt;
  // By a clock that is in doubt nobody can say; listeners go on with the certificate that there is.
  const bool in_its_dates = now >= record->not_before && now <= record->not_after;
  if (!in_its_dates && context_.stops.clock_is_trusted()) return std::nullopt;
  const std::string path = key_path(record->spki_sha256);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    context_.log.warning("own_certificate.key_missing", {{"file", path}});
    return std::nullopt;
  }
  if (const auto problem = key_file_problem(path)) throw std::runtime_error(*problem);
  Secret key(read_file(path));
  if (crypto::spki_sha256_of(crypto::load_signer(key, Secret())->public_key()) !=
      record->spki_sha256) {
    throw std::runtime_error(path + ": holds another key than its name says; remove the file");
  }
  return Identity{.record = *record,
                  .tls = {.chain_pem = record->chain_pem, .key_pem = std::move(key)}};
}

bool OwnCertificateJob::paused() {
  return !context_.stops.may_begin();
}

void OwnCertificateJob::hand_over(const Identity& identity) {
  const bool is_new = handed_over_.with([&](CertificateId& last) {
    return std::exchange(last, identity.record.id) != identity.record.id;
  });
  crash_point("own_certificate.found");
  if (is_new) changed_(identity.tls);
}

std::optional<TlsIdentity> OwnCertificateJob::load() {
  const auto identity = find_good();
  if (!identity) return std::nullopt;
  hand_over(*identity);
  return identity->tls;
}

// The order that an earlier run has begun, as long as it has no outcome and is for these names.
std::optional<Order> OwnCertificateJob::pending_order(store::Tx& tx) const {
  const auto id = tx.state().get(kPendingOrder);
  if (!id) return std::nullopt;
  auto order = tx.orders().get(OrderId(*id));
  const bool ours = order && order->directory == options_.directory &&
                    same_names(order->identifiers, options_.identifiers);
  return ours ? std::move(order) : std::nullopt;
}

void OwnCertificateJob::run(JobRun& run) {
  const auto pending = context_.store.read([&](store::Tx& tx) { return pending_order(tx); });
  if (pending && !pending->certificate && !pending->error) {
    context_.store.write([&](store::Tx& tx) { run.postpone(tx, tx.job_now() + kPoll, ""); });
    return;
  }
  if (pending && pending->error) {
    context_.log.error("own_certificate.failed",
                       {{"order", pending->id}, {"why", pending->error->detail}});
    context_.store.write([&](store::Tx& tx) {
      tx.state().remove(kPendingOrder);
      run.postpone(tx, tx.job_now() + kAfterFailure, "");
    });
    return;
  }

  const auto identity = find_good();
  const Instant now = context_.clock.now();
  if (identity) hand_over(*identity);
  if (!identity || renewal_of(identity->record) <= now) {
    begin(run);
    return;
  }
  remove_superseded_keys(identity->record.spki_sha256);
  const seconds wait = std::min<seconds>(kLookAgain, renewal_of(identity->record) - now);
  context_.store.write([&](store::Tx& tx) {
    tx.state().remove(kPendingOrder);
    run.postpone(tx, tx.job_now() + wait, "");
  });
}

// Makes a key and an order for it, and leaves the rest to the issuance job.
void OwnCertificateJob::begin(JobRun& run) {
  const auto directory = context_.policy.directory(options_.directory);
  const Profile& profile = profile_of(*directory);
  const Secret key = crypto::generate_private_key(require_key_kind(profile));
  const auto signer = crypto::load_signer(key, Secret());
  const Bytes spki = signer->public_key();
  // The key first: a certificate whose key is lost is of no use, a key without certificate does no
  // harm.
  make_private_folder(options_.key_directory);
  write_file(key_path(crypto::spki_sha256_of(spki)), key.reveal(), FileAccess::owner_only,
             ExistingFile::refuse);

  crash_point("own_certificate.key_kept");

  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  for (const Identifier& identifier : options_.identifiers) {
    (identifier.type == IdentifierType::dns ? dns_names : ip_addresses).push_back(identifier.value);
  }
  const Bytes csr = crypto::make_csr(*signer, dns_names, ip_addresses);
  const Instant now = context_.clock.now();
  const Order order{.id = OrderId(random_row_id(context_.entropy, now)),
                    .directory = options_.directory,
                    .account = std::nullopt,
                    .profile = profile.name,
                    .identifiers = options_.identifiers,
                    .authorizations = {},
                    .not_before = std::nullopt,
                    .not_after = std::nullopt,
                    .created = now,
                    .expires = now + profile.order_lifetime,
                    .finalization = Finalization{.csr = base64url_encode(csr), .at = now},
                    .certificate = std::nullopt,
                    .error = std::nullopt};
  const store::Issuance issuance = prepare_issuance(context_, order, profile, csr, spki);
  const std::string job_id = random_row_id(context_.entropy, context_.job_clock.now());
  context_.store.write([&](store::Tx& tx) {
    tx.orders().insert(order);
    tx.issuances().insert(issuance);
    tx.jobs().enqueue(job_id, store::JobKind::issue_certificate, order.id.str(), tx.job_now());
    tx.state().set(kPendingOrder, order.id.str());
    tx.audit().append(event_of("order.created", order, ServerPrincipal{}));
    tx.audit().append(intent_event(order, issuance, ServerPrincipal{}));
    run.postpone(tx, tx.job_now() + kPoll, "");
    tx.after_commit(context_.wake);
  });
  crash_point("own_certificate.ordered");
  context_.log.info("own_certificate.ordered", {{"order", order.id}});
}

void OwnCertificateJob::remove_superseded_keys(const std::string& current) const {
  // No order is pending here, so no other key of ours will be needed.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.key_directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!is_key_name(name) || name == current + std::string(kKeySuffix)) continue;
    std::filesystem::remove(entry.path(), error);
    context_.log.info("own_certificate.key_removed", {{"file", entry.path().string()}});
  }
}

void OwnCertificateJob::enqueue() {
  const std::string id = random_row_id(context_.entropy, context_.job_clock.now());
  context_.store.write([&](store::Tx& tx) {
    tx.jobs().enqueue(id, store::JobKind::own_certificate, options_.directory.str(), tx.job_now());
    tx.after_commit(context_.wake);
  });
}

}  // namespace gatehouse::service
