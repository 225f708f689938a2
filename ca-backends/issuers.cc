#include "ca-backends/issuers.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/path.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;

constexpr int kNoPathLength = std::numeric_limits<int>::max();

std::optional<std::string> why_chain_breaks(const std::vector<Certificate>& chain,
                                            const Certificate& anchor, Instant now) {
  if (auto problem = crypto::why_chain_fails(chain, anchor, now)) return problem;
  for (std::size_t below = 1; below < chain.size(); ++below) {
    if (std::cmp_less(chain[below].path_length.value_or(kNoPathLength), below)) {
      return "the path length of \"" + chain[below].subject_name +
             "\" leaves no room for the CAs below it";
    }
  }
  return crypto::why_openssl_refuses(chain, anchor, now);
}

}  // namespace

const Issuer* Issuers::find(const IssuerId& id) const {
  const auto found = std::ranges::find(all, id, &Issuer::id);
  return found == all.end() ? nullptr : &*found;
}

std::optional<std::string> why_not_below(const std::vector<Certificate>& chain,
                                         std::span<const Certificate> anchors, Instant now) {
  if (chain.empty()) return "there is no certificate";
  if (!chain.front().is_ca) return "its first certificate is not a CA (basicConstraints)";
  if (!chain.front().key_cert_sign) {
    return "its first certificate may not sign certificates (keyUsage needs keyCertSign)";
  }
  std::optional<std::string> why = "no trust anchor is configured";
  for (const Certificate& anchor : anchors) {
    why = why_chain_breaks(chain, anchor, now);
    if (!why) return std::nullopt;
  }
  return why;
}

}  // namespace gatehouse::backends
