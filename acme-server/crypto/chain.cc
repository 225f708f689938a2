#include "acme-server/crypto/chain.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::crypto {

namespace {

std::string quoted(const Certificate& certificate) {
  return "\"" +
         (certificate.subject_name.empty() ? "serial " + certificate.serial
                                           : certificate.subject_name) +
         "\"";
}

std::optional<std::string> why_not_now(const Certificate& certificate, Instant now) {
  if (now < certificate.not_before)
    return "certificate " + quoted(certificate) + " is not valid yet";
  if (now > certificate.not_after) return "certificate " + quoted(certificate) + " has expired";
  return std::nullopt;
}

// Why `issuer` may not stand above `below` intermediate CA certificates and a leaf (RFC 5280
// section 6.1.4).
std::optional<std::string> why_no_issuer(const Certificate& issuer, std::size_t below) {
  if (!issuer.is_ca) return "certificate " + quoted(issuer) + " is not a CA (basicConstraints)";
  if (!issuer.key_usages.empty() && !issuer.key_cert_sign) {
    return "certificate " + quoted(issuer) + " may not sign certificates (keyUsage)";
  }
  if (issuer.path_length && below > static_cast<std::size_t>(*issuer.path_length)) {
    return "certificate " + quoted(issuer) + " has too many CAs below it (path length)";
  }
  return std::nullopt;
}

std::optional<std::string> why_link_fails(const Certificate& certificate, const Certificate& issuer,
                                          std::size_t below, const IsSignedBy& is_signed) {
  if (certificate.issuer_name_der != issuer.subject_name_der) {
    return "certificate " + quoted(certificate) + " names another issuer than " + quoted(issuer);
  }
  if (auto problem = why_no_issuer(issuer, below)) return problem;
  if (!is_signed(certificate, issuer)) {
    return "certificate " +
           why_unverifiable(certificate, issuer)
               .value_or(quoted(certificate) + " is not signed by " + quoted(issuer));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_chain_fails(const std::vector<Certificate>& chain,
                                           const Certificate& root, Instant now) {
  return why_chain_fails(chain, root, now, is_signed_by);
}

std::optional<std::string> why_chain_fails(const std::vector<Certificate>& chain,
                                           const Certificate& root, Instant now,
                                           const IsSignedBy& is_signed) {
  if (chain.empty()) return "the chain is empty";
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (auto problem = why_not_now(chain[i], now)) return problem;
    if (i + 1 == chain.size()) break;
    if (auto problem = why_link_fails(chain[i], chain[i + 1], i, is_signed)) return problem;
  }
  if (chain.back().der == root.der) return std::nullopt;
  if (auto problem = why_not_now(root, now)) return problem;
  return why_link_fails(chain.back(), root, chain.size() - 1, is_signed);
}

}  // namespace gatehouse::crypto
