// Issuers: who signs for a backend, as one snapshot that its users hold while they use it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::backends {

// An issuer as others must know it: for chains, CRLs, checks and the public listener.
struct Issuer {
  IssuerId id;
  crypto::Certificate certificate;
  std::vector<crypto::Certificate> chain;  // issuer first, up to but without the root
  std::optional<crypto::Certificate> root;

  friend bool operator==(const Issuer&, const Issuer&) = default;
};

// One of the CRLs into which an issuer's revocations are spread.
struct CrlShard {
  IssuerId issuer;
  std::string url;   // CDP and IDP
  std::string file;  // the path it is served under: "/crl/<issuer>/<shard>.crl"
};

// Immutable once it is handed out: whoever renews it hands out another, and who holds this one goes
// on with it.
struct Issuers {
  // Those that sign now or have signed, the one in use first. Empty until the CA has been reached
  // once.
  std::vector<Issuer> all;
  std::vector<CrlShard> shards;  // of the CRLs that we make

  // Null while `all` is empty.
  const Issuer* in_use() const { return all.empty() ? nullptr : &all.front(); }

  // Null when there is none with this id.
  const Issuer* find(const IssuerId& id) const;
};

using IssuersSnapshot = std::shared_ptr<const Issuers>;

// Why the CA whose chain this is, from itself upwards, must not become an issuer: it is no CA that
// signs certificates, its chain does not lead to one of `anchors`, which the config names, or not
// for OpenSSL, or a path length forbids it. A sentence; nothing when it may. What a CA says about
// itself is never enough to trust it.
std::optional<std::string> why_not_below(const std::vector<crypto::Certificate>& chain,
                                         std::span<const crypto::Certificate> anchors, Instant now);

}  // namespace gatehouse::backends
