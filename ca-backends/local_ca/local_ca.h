// LocalCa: a CA whose issuing key we hold. It signs the stored TBS, however often, and the CRLs of
// its issuers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/crypto/name_constraints.h"
#include "ca-backends/backend.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/local_ca/root_crl.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

// Everything is loaded and checked at construction: each key goes with its certificate, each issuer
// is a CA that may sign certificates and CRLs, each chain leads to the root, for us as for OpenSSL,
// which also agrees about what its name constraints mean. What does not hold throws
// std::runtime_error that names the file. With a signer in a process of its own the keys are not
// read, and the signer is not asked: it may come later.
class LocalCa final : public CertificateBackend, public CrlSigner {
 public:
  LocalCa(std::string name, const LocalCaOptions& options, BackendContext context);

  Intent prepare(const IssueRequest& request) override;
  // By the name constraints of the issuer in use and of the CAs above it.
  std::optional<std::string> why_never(const Identifier& identifier) const override;

  // Looks at alternate chains too: one that no leaf could be verified by is not worth serving.
  std::optional<std::string> why_not_accepted(const IssueRequest& request) override;

  bool repeatable() const override { return true; }

  IssueOutcome submit(const Intent& intent, Deadline deadline) override;
  IssueOutcome resume(const Intent& intent, Deadline deadline) override;
  std::optional<std::string> why_not_ready() override;

  IssuersSnapshot issuers() const override { return issuers_; }

  Bytes sign_crl(const CrlShard& shard, std::int64_t number, Instant this_update,
                 Instant next_update, crypto::CrlBuilder entries) override;
  // The root's CRL as its file is now; while that is broken or older than what was read before,
  // what was read before.
  std::vector<OfflineCrl> offline_crls() override;

 private:
  // The chain of an issuer under another root, and what its CAs constrain.
  struct Alternate {
    std::vector<crypto::Certificate> chain;  // without its root
    std::string chain_pem;
    std::vector<crypto::NameConstraints> constraints;
  };

  // What belongs to the issuer with the same index and nobody else needs to know.
  struct Holding {
    std::unique_ptr<crypto::Signer> signer;
    std::string chain_pem;                             // what stands under a leaf
    std::vector<crypto::NameConstraints> constraints;  // its own and those of the CAs above it
    std::vector<Alternate> alternates;
  };

  std::unique_ptr<crypto::Signer> signer_of(const IssuerFiles& files,
                                            const crypto::Certificate& issuer) const;
  void load_issuer(const IssuerFiles& files, Instant chain_checked_at);
  void load_alternate(const std::string& path);
  HeldRootCrl current_root_crl() const;
  std::size_t index_of(const IssuerId& issuer) const;

  std::string name_;
  BackendContext context_;
  std::size_t crl_shards_;
  std::string root_crl_path_;
  std::optional<SignerOptions> signer_;
  crypto::Certificate root_;
  // Filled by the constructor, and never changed since: a rotation needs a restart (ADR 0014).
  const std::shared_ptr<Issuers> issuers_ = std::make_shared<Issuers>();
  std::vector<Holding> holdings_;
  Guarded<HeldRootCrl> root_crl_;
};

// The CRLs that the CA would make, from its certificates' files: no key is opened. Throws
// std::runtime_error naming the file.
std::vector<CrlShard> crls_of_local_ca(const JsonObject& options, const BackendContext& context);

// The factory behind "type": "local".
Backend make_local_ca(const std::string& name, const JsonObject& options,
                      const BackendContext& context);

}  // namespace gatehouse::backends
