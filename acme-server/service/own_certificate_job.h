// own_certificate: the listener's certificate, issued and renewed by our own CA, origin "server".
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/secret.h"
#include "acme-server/core/identifier.h"
#include "acme-server/service/context.h"
#include "acme-server/service/job.h"

namespace gatehouse::service {

struct OwnCertificateOptions {
  DirectoryId directory;
  std::vector<Identifier> identifiers;   // base_url's host and the listeners', nothing else
  std::string profile;                   // "": the default one
  std::string key_directory;             // where private keys are kept, mode 0700, one file per key named by its SPKI hash
};

struct TlsIdentity {
  std::string chain_pem;
  Secret key_pem;
};

// Goes the way of all certificates: a finalized order without account, an intent, the issuance job, the checks, a row. The
// key is durable in a file named by its hash before the order is stored; files of superseded keys are removed.
class OwnCertificateJob final : public JobHandler {
 public:
  // `changed` gets each new identity, on the maintenance lane, and the stored one at load().
  OwnCertificateJob(Context& context, OwnCertificateOptions options, std::function<void(const TlsIdentity&)> changed);

  store::JobKind kind() const override { return store::JobKind::own_certificate; }
  // Renews when less than a third of the validity is left, or the names differ, or it was revoked; else looks again later.
  void run(JobRun& run) override;

  // The identity in the store with its key file, if it is good now: valid, unrevoked, these names.
  std::optional<TlsIdentity> load();
  void enqueue();

 private:
  Context& context_;
  OwnCertificateOptions options_;
  std::function<void(const TlsIdentity&)> changed_;
};

}  // namespace gatehouse::service
