// SocketSigner: a crypto::Signer whose key another process has (signer/protocol.h).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/signer/protocol.h"

namespace gatehouse::backends {

// Connects when something is to be signed, holds on to connections, and makes new ones when the
// signer has been started again. A new connection shows the public key first, which must be the one
// that is expected. Signing is asked for twice at most, since it changes nothing. What comes back
// is not verified here: that is its callers' part, as with every Signer.
class SocketSigner final : public crypto::Signer {
 public:
  // `spki`: of the issuer's certificate. Asks nobody: the signer may come later.
  SocketSigner(std::string path, Bytes spki);

  Bytes public_key() const override { return spki_; }

  Bytes algorithm() const override { return algorithm_; }

  // TBSCertificates and TBSCertLists alone: a signer takes nothing else.
  Bytes sign(ByteView message) override;
  std::optional<std::string> why_out_of_reach() override;

 private:
  net::UnixStream new_connection(Deadline deadline) const;
  std::optional<net::UnixStream> take_idle();
  Bytes call_on(net::UnixStream stream, SignerOperation operation, ByteView tbs, Deadline deadline);
  Bytes ask(const net::UnixStream& stream, SignerOperation operation, ByteView tbs,
            Deadline deadline) const;
  Bytes call(SignerOperation operation, ByteView tbs, Deadline deadline,
             std::chrono::milliseconds patience);

  std::string path_;
  Bytes spki_, algorithm_;
  KeyId key_;
  Guarded<std::vector<net::UnixStream>> idle_;
};

}  // namespace gatehouse::backends
