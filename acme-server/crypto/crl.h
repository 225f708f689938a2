// A CRL (RFC 5280 section 5), entry by entry, and one read back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::crypto {

struct CrlHead {
  Bytes issuer_name_der;
  Bytes authority_key_id;
  std::int64_t number = 0;  // cRLNumber, positive
  Instant this_update, next_update;
  std::string distribution_point;  // critical issuingDistributionPoint with this URL; empty: none
                                   // (a root's CRL)
};

struct CrlEntry {
  std::string serial;  // hex, as Certificate::serial
  Instant revoked_at;
  int reason = 0;  // RFC 5280 section 5.3.1; 0 leaves the extension out

  friend bool operator==(const CrlEntry&, const CrlEntry&) = default;
};

// Builds a CRL entry by entry, encoding each at once: a million entries cost their own bytes and no
// more.
class CrlBuilder {
 public:
  // Makes room for about `entries` of them at once, so that nothing is copied as they come.
  void expect(std::size_t entries);
  void add(const CrlEntry& entry);
  // The signed CRL, DER, its signature verified with the signer's public key before it is returned.
  Bytes finish(const CrlHead& head, Signer& signer);

 private:
  Bytes entries_;
};

// A CRL as read: for publishing checks and tests.
struct Crl {
  CrlHead head;
  std::vector<CrlEntry> entries;
};

Expected<Crl, std::string> parse_crl(ByteView der);

// The same without keeping the entries, each of which is looked at: what a CRL of a million costs
// to check is one pass over its octets.
struct CrlSummary {
  CrlHead head;
  std::size_t entries = 0;
};

Expected<CrlSummary, std::string> summarize_crl(ByteView der);
// The same of a TBSCertList that is to be signed with `algorithm` (DER AlgorithmIdentifier).
Expected<CrlSummary, std::string> summarize_tbs_crl(ByteView tbs, ByteView algorithm);
// True when `crl` was signed with the private key of `issuer`.
bool crl_is_signed_by(ByteView crl, const Certificate& issuer);
// Why that cannot be true whoever signed, the rest of a sentence: "is signed with the
// algorithm sha1WithRSAEncryption, which is not accepted; …". Nothing when the algorithm is not the
// reason.
std::optional<std::string> why_crl_unverifiable(ByteView crl);

}  // namespace gatehouse::crypto
