// ChainChecker: what certificate.h says of certificates, with a memory.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

// Answers as the functions of certificate.h do. What it has read or verified lately it knows again
// by its SHA-256: the same octets say the same, and a signature over them does not change its mind.
// So the certificates above a leaf cost nothing once they were seen, and a leaf that is looked at
// twice is verified once. Only what is good is remembered, the dates are compared each time, and
// one bit of difference is another certificate. Safe to use from many threads.
class ChainChecker final {
 public:
  Expected<Certificate, std::string> parse(ByteView der);
  Expected<std::vector<Certificate>, std::string> parse_chain(std::string_view pem);
  bool is_signed_by(const Certificate& certificate, const Certificate& issuer);
  std::optional<std::string> why_fails(const std::vector<Certificate>& chain,
                                       const Certificate& root, Instant now);

  // Of each kind, at most twice this many are remembered.
  static constexpr std::size_t kRemembered = 128;

 private:
  // The newest, and those before them: what is asked for again moves to the newest.
  template <class Value>
  class Memory {
   public:
    std::optional<Value> find(const Sha256& key);
    void keep(const Sha256& key, Value value);

   private:
    std::map<Sha256, Value> newest_, older_;
  };

  PublicKeyRef key_of(const Certificate& issuer);

  struct Held {
    Memory<Certificate> certificates;  // by their octets
    Memory<PublicKeyRef> keys;         // of issuers, by their SubjectPublicKeyInfo
    Memory<bool> links;                // by the octets of the certificate and its issuer's key
  };

  Guarded<Held> held_;
};

}  // namespace gatehouse::crypto
