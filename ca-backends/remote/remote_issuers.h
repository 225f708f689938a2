// RemoteIssuers: who signs for a CA elsewhere, below the roots that the config names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {

// Holds the anchors and the CA certificates of the config, and learns of issuing CAs from the CA's
// answers. Safe to call from many threads.
class RemoteIssuers final {
 public:
  // Reads the files. Throws std::runtime_error that names the file: unreadable, no certificate, no
  // CA's certificate, or a CA of `chain` that leads to no anchor.
  RemoteIssuers(const std::string& backend, const RemoteCaOptions& options,
                const BackendContext& context);

  // The issuing CAs; where the config names none, the anchors until an answer names one.
  IssuersSnapshot snapshot() const;

  // What `answer` (PEM, DER or PKCS#7, in any order) holds for the key with this SHA-256: its leaf,
  // and the chains that lead from it to the anchors, in the order of the anchors. They are built
  // from the answer and the config by issuer and signature, and have no self-issued certificate. An
  // issuing CA that was not known is in the next snapshot. The leaf itself is not judged: without a
  // certificate for the key it is the first that is no CA's, and without a chain it stands alone.
  // The error is a sentence: there is no certificate in it at all, or only CAs'.
  Expected<Issued, std::string> read_answer(std::string_view answer,
                                            std::string_view spki_sha256) const;

  // Whether `ca` is an anchor or leads to one, by way of `others` and the CAs of the config.
  bool leads_to_anchor(const crypto::Certificate& ca,
                       const std::vector<crypto::Certificate>& others) const;

 private:
  void learn(const Issuer& issuer) const;

  const BackendContext context_;
  std::vector<crypto::Certificate> anchors_, pool_;
  mutable Guarded<IssuersSnapshot> snapshot_;
};

}  // namespace gatehouse::backends
