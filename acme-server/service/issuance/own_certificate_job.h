// own_certificate: the listener's certificate, issued and renewed by our own CA, origin "server".
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/secret.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"

namespace gatehouse::service {

struct OwnCertificateOptions {
  DirectoryId directory;                // whose profiles it may have
  std::vector<Identifier> identifiers;  // base_url's host and the listeners', nothing else
  std::string profile;                  // "": the default one
  std::string key_directory;  // where private keys are kept, mode 0700, one file per key named by
                              // its SPKI hash
};

// The lightest key that clients everywhere take, that `profile` allows and that this server can
// make; nothing when there is none.
std::optional<crypto::NewKey> lightest_key_kind(const Profile& profile);

struct TlsIdentity {
  std::string chain_pem;
  Secret key_pem;
};

// Goes the way of all certificates: a finalized order without account, an intent, the issuance job,
// the checks, a row. The key is durable in a file named by its hash before the order is stored;
// files of superseded keys are removed. One per Server; its runs never overlap, since there is one
// job.
class OwnCertificateJob final : public JobHandler {
 public:
  // `changed` gets each new identity, on the maintenance lane, and the stored one at load().
  OwnCertificateJob(Context& context, OwnCertificateOptions options,
                    std::function<void(const TlsIdentity&)> changed);

  store::JobKind kind() const override { return store::JobKind::own_certificate; }

  // While nothing new is begun: its dates would be those of a clock that is in doubt.
  bool paused() override;

  // Renews when less than a third of the validity is left, or the names differ, or it was revoked;
  // else looks again later. subject: the directory.
  void run(JobRun& run) override;

  // The identity in the store with its key file, if it is good now: valid, unrevoked, these names.
  std::optional<TlsIdentity> load();
  void enqueue();

  static constexpr std::chrono::seconds kPoll{1};  // while the issuance job works on ours
  static constexpr std::chrono::minutes kAfterFailure{5};
  static constexpr std::chrono::hours kLookAgain{1};  // at the latest

 private:
  struct Identity {
    CertificateRecord record;
    TlsIdentity tls;
  };

  std::optional<Identity> find_good();
  void hand_over(const Identity& identity);
  std::string key_path(const std::string& spki_sha256) const;
  const Profile& profile_of(const Directory& directory) const;
  std::optional<Order> pending_order(store::Tx& tx) const;
  void begin(JobRun& run);
  void remove_superseded_keys(const std::string& current) const;

  Context& context_;
  OwnCertificateOptions options_;
  std::function<void(const TlsIdentity&)> changed_;
  Guarded<CertificateId> handed_over_;
};

}  // namespace gatehouse::service
