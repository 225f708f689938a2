#include "ca-backends/remote/remote_issuers.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/path.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;

// What was put there by hand has to be whole, and CAs' alone.
std::vector<Certificate> read_cas(const BackendContext& context, const std::string& path) {
  const std::string content = context.read_file(path);
  auto bag = crypto::read_certificate_bag(as_bytes(content));
  if (!bag) throw std::runtime_error(path + ": " + bag.error());
  if (!bag->unreadable.empty()) throw std::runtime_error(path + ": " + bag->unreadable.front());
  for (const Certificate& each : bag->certificates) {
    if (!each.is_ca) {
      throw std::runtime_error(path + ": \"" + each.subject_name +
                               "\" is no CA (basicConstraints); only CAs' certificates go here");
    }
  }
  return std::move(bag->certificates);
}

Issuer issuer_of(std::vector<Certificate> chain, const Certificate& root) {
  return {.id = IssuerId(crypto::spki_sha256_of(chain.front().spki)),
          .certificate = chain.front(),
          .chain = std::move(chain),
          .root = root};
}

// The CA certificates from the issuer of `below` upwards to `anchor`, which comes last only where
// it is the issuer itself. Nothing when there is no way.
std::optional<std::vector<Certificate>> way_up(const Certificate& below,
                                               std::span<const Certificate> pool,
                                               const Certificate& anchor, Instant now) {
  auto path = crypto::build_path(below, pool, anchor, now);
  if (!path || path->chain.empty()) return std::nullopt;
  std::vector<Certificate> above(std::next(path->chain.begin()), path->chain.end());
  if (above.empty()) above.push_back(anchor);
  return above;
}

// Leaf first, as clients get it: who trusts a root has it.
std::string pem_of(const Certificate& leaf, const std::vector<Certificate>& above) {
  std::string pem = crypto::to_pem(leaf.der);
  for (const Certificate& each : above) {
    if (!crypto::is_self_issued(each)) pem += crypto::to_pem(each.der);
  }
  return pem;
}

const Certificate* leaf_among(const std::vector<Certificate>& certificates,
                              std::string_view spki_sha256) {
  const auto of_key = std::ranges::find_if(certificates, [&](const Certificate& each) {
    return crypto::spki_sha256_of(each.spki) == spki_sha256;
  });
  if (of_key != certificates.end()) return &*of_key;
  const auto no_ca = std::ranges::find(certificates, false, &Certificate::is_ca);
  return no_ca == certificates.end() ? nullptr : &*no_ca;
}

IssuersSnapshot share(std::vector<Issuer> all) {
  auto made = std::make_shared<Issuers>();
  made->all = std::move(all);
  return made;
}

// OldWithNew and NewWithOld (RFC 9810 section 4.4) link two keys of one root. They are for who
// renews a root, not for chains.
void drop_self_issued(std::vector<Certificate>& certificates) {
  std::erase_if(certificates, [](const Certificate& each) { return crypto::is_self_issued(each); });
}

}  // namespace

RemoteIssuers::RemoteIssuers(const std::string& backend, const RemoteCaOptions& options,
                             const BackendContext& context)
    : context_(context) {
  for (const std::string& path : options.anchors)
    std::ranges::copy(read_cas(context, path), std::back_inserter(anchors_));
  std::vector<std::pair<std::string, Certificate>> named;
  for (const std::string& path : options.chain) {
    std::vector<Certificate> read = read_cas(context, path);
    drop_self_issued(read);
    for (Certificate& each : read) {
      pool_.push_back(each);
      named.emplace_back(path, std::move(each));
    }
  }
  const Instant now = context.clock.now();
  std::vector<Issuer> issuers;
  for (const auto& [path, ca] : named) {
    std::optional<Issuer> found;
    for (const Certificate& anchor : anchors_) {
      auto above = crypto::build_path(ca, pool_, anchor, now);
      if (!above || why_not_below(above->chain, {&anchor, 1}, now)) continue;
      found = issuer_of(std::move(above->chain), anchor);
      break;
    }
    if (!found) {
      throw std::runtime_error(path + ": \"" + ca.subject_name +
                               "\" is no CA below one of backends." + backend +
                               ".anchors; add the CA certificates between them, or the root");
    }
    // An intermediate that signs another CA of the file may sign leaves as well.
    if (std::ranges::find(issuers, found->id, &Issuer::id) == issuers.end()) {
      issuers.push_back(std::move(*found));
    }
  }
  if (issuers.empty()) {
    for (const Certificate& anchor : anchors_) issuers.push_back(issuer_of({anchor}, anchor));
  }
  snapshot_.with([&](IssuersSnapshot& held) { held = share(std::move(issuers)); });
}

IssuersSnapshot RemoteIssuers::snapshot() const {
  return snapshot_.with([](const IssuersSnapshot& held) { return held; });
}

void RemoteIssuers::learn(const Issuer& issuer) const {
  snapshot_.with([&](IssuersSnapshot& held) {
    if (held->find(issuer.id) != nullptr) return;
    std::vector<Issuer> all = held->all;
    all.insert(all.begin(), issuer);
    held = share(std::move(all));
  });
}

Expected<Issued, std::string> RemoteIssuers::read_answer(std::string_view answer,
                                                         std::string_view spki_sha256) const {
  auto bag = crypto::read_certificate_bag(as_bytes(answer));
  if (!bag) return Unexpected{bag.error()};
  const Certificate* found = leaf_among(bag->certificates, spki_sha256);
  if (found == nullptr) return Unexpected{std::string("it holds CAs' certificates alone")};
  const Certificate leaf = *found;
  std::vector<Certificate> pool = pool_;
  std::ranges::copy_if(bag->certificates, std::back_inserter(pool), &Certificate::is_ca);
  // An answer that is cut down to its leaf still has the chain that an earlier one has told of.
  const IssuersSnapshot known = snapshot();
  for (const Issuer& issuer : known->all) std::ranges::copy(issuer.chain, std::back_inserter(pool));
  drop_self_issued(pool);
  const Instant now = context_.clock.now();
  Issued issued;
  for (const Certificate& anchor : anchors_) {
    const auto above = way_up(leaf, pool, anchor, now);
    if (!above || !context_.chains->is_signed_by(leaf, above->front()) ||
        why_not_below(*above, {&anchor, 1}, now)) {
      continue;
    }
    std::string pem = pem_of(leaf, *above);
    if (issued.chain_pem.empty()) {
      issued.chain_pem = std::move(pem);
      learn(issuer_of(*above, anchor));
    } else if (pem != issued.chain_pem && !crypto::is_self_issued(above->front())) {
      issued.alternate_chains_pem.push_back(std::move(pem));
    }
  }
  if (issued.chain_pem.empty()) issued.chain_pem = crypto::to_pem(leaf.der);
  return issued;
}

bool RemoteIssuers::leads_to_anchor(const Certificate& ca,
                                    const std::vector<Certificate>& others) const {
  std::vector<Certificate> pool = pool_;
  std::ranges::copy_if(others, std::back_inserter(pool), &Certificate::is_ca);
  drop_self_issued(pool);
  const Instant now = context_.clock.now();
  return std::ranges::any_of(anchors_, [&](const Certificate& anchor) {
    if (anchor.der == ca.der) return true;
    const auto path = crypto::build_path(ca, pool, anchor, now);
    return path && !why_not_below(path->chain, {&anchor, 1}, now);
  });
}

}  // namespace gatehouse::backends
