// SignerService: the signer's side of signer/protocol.h, the keys and what they sign.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"
#include "ca-backends/signer/protocol.h"

namespace gatehouse::backends {

// Immutable once made; safe to call from many threads.
class SignerService {
 public:
  struct Key {
    crypto::Certificate issuer;
    std::unique_ptr<crypto::Signer> signer;
  };

  explicit SignerService(std::vector<Key> keys);

  struct Answer {
    bool done = false;
    Bytes content;  // what was asked for, or the sentence that says why not
  };

  Answer answer(ByteView request) const;

  // Answers on `stream` until its client is gone. Throws net::UnixStreamError for one that does not
  // keep to the protocol; the connection is to be closed then.
  void serve(const net::UnixStream& stream) const;

 private:
  struct Held {
    KeyId id;
    Bytes algorithm;
    Key key;
  };

  std::vector<Held> keys_;
};

// The keys of a local backend: its issuer's and those before it. Throws std::runtime_error that
// names the file.
std::vector<SignerService::Key> read_signer_keys(const LocalCaOptions& options,
                                                 const BackendContext& context);

}  // namespace gatehouse::backends
