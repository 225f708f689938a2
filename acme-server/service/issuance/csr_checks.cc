#include "acme-server/service/issuance/csr_checks.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/csr.h"

namespace gatehouse::service {
namespace {

// How much of a client's text, and how many names, a refusal shows.
constexpr std::size_t kNameSample = 80;
constexpr std::size_t kNamesShown = 5;

// Where each stands in the CSR, in words: the first place of several.
using Names = std::map<Identifier, std::string>;

constexpr const char* kCommonName = "the common name";

std::string entry(const char* kind, std::size_t number) {
  return std::string(kind) + " " + std::to_string(number) + " of the subjectAltName";
}

Identifier name_of(Expected<Identifier, IdentifierError> parsed, std::string_view written,
                   const std::string& where) {
  if (!parsed) {
    reject(ProblemType::badCSR, "The CSR asks for \"" + sanitize(written, kNameSample) + "\" (" +
                                    where + "), which is no name: " + parsed.error().detail);
  }
  return std::move(parsed).value();
}

// RFC 8555 section 7.4: identifiers stand "in either the commonName portion of the requested
// subject name or the extensionRequest attribute [...] requesting a subjectAltName extension, or
// both". RFC 8738 section 3 knows addresses in the subjectAltName alone, so in a common name one is
// a repetition at most.
void fold_common_name(const crypto::Csr& csr, Names& names) {
  if (csr.common_names.size() > 1) {
    reject(ProblemType::badCSR, "The CSR has " + std::to_string(csr.common_names.size()) +
                                    " common names; at most one is allowed.");
  }
  for (const std::string& name : csr.common_names) {
    if (IpAddress::parse(name)) {
      if (!names.contains(name_of(ip_identifier(name), name, kCommonName))) {
        reject(ProblemType::badCSR, "The CSR has the address " + sanitize(name, kNameSample) +
                                        " as its common name alone; put it in the subjectAltName.");
      }
    } else {
      names.emplace(name_of(dns_identifier(name), name, kCommonName), kCommonName);
    }
  }
}

Names names_in(const crypto::Csr& csr) {
  Names names;
  for (std::size_t i = 0; i < csr.dns_names.size(); ++i) {
    const std::string where = entry("DNS name", i + 1);
    names.emplace(name_of(dns_identifier(csr.dns_names[i]), csr.dns_names[i], where), where);
  }
  for (std::size_t i = 0; i < csr.ip_addresses.size(); ++i) {
    const std::string where = entry("address", i + 1);
    names.emplace(name_of(ip_identifier(csr.ip_addresses[i]), csr.ip_addresses[i], where), where);
  }
  fold_common_name(csr, names);
  return names;
}

// What is in `a` and not in `b`, with where it stands, shortened for a sentence; empty when nothing
// is.
std::string difference(const Names& a, const Names& b) {
  std::vector<std::string> shown;
  std::size_t missing = 0;
  for (const auto& [identifier, where] : a) {
    if (b.contains(identifier) || ++missing > kNamesShown) continue;
    shown.push_back(identifier.value + (where.empty() ? "" : " (" + where + ")"));
  }
  if (missing > kNamesShown) {
    shown.push_back("and " + std::to_string(missing - kNamesShown) + " more");
  }
  return join(shown, ", ");
}

}  // namespace

crypto::Csr check_csr(ByteView der, const Order& order) {
  if (der.size() > crypto::kMaxCsrBytes) {
    reject(ProblemType::badCSR, "The CSR has " + std::to_string(der.size()) + " octets; at most " +
                                    std::to_string(crypto::kMaxCsrBytes) + " are read.");
  }
  Expected<crypto::Csr, std::string> csr = crypto::parse_csr(der);
  if (!csr) {
    reject(ProblemType::badCSR, csr.error());
  }
  if (csr->must_staple) {
    reject(ProblemType::badCSR,
           "The CSR asks for must-staple (RFC 7633), which this CA does not issue.");
  }
  // RFC 8555 section 7.4: "The CSR MUST indicate the exact same set of requested identifiers as the
  // initial newOrder request."
  const Names asked = names_in(*csr);
  Names ordered;
  for (const Identifier& identifier : order.identifiers) ordered.emplace(identifier, "");
  if (const std::string extra = difference(asked, ordered); !extra.empty()) {
    reject(ProblemType::badCSR,
           "The CSR asks for " + extra + ", which is not in order " + order.id.str() + ".");
  }
  if (const std::string missing = difference(ordered, asked); !missing.empty()) {
    reject(ProblemType::badCSR,
           "The CSR does not ask for " + missing + ", which is in order " + order.id.str() + ".");
  }
  return std::move(csr).value();
}

}  // namespace gatehouse::service
