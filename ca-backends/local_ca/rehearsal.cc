#include "ca-backends/local_ca/rehearsal.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/name_constraints.h"
#include "acme-server/crypto/path.h"
#include "ca-backends/issuers.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;
using crypto::NameConstraints;
using crypto::Purpose;

struct Usage {
  std::string_view oid, name;
  std::optional<Purpose> purpose;  // OpenSSL's check for it
};

// RFC 5280 section 4.2.1.12.
constexpr std::array<Usage, 3> kUsages = {{
    {"1.3.6.1.5.5.7.3.1", "serverAuth", Purpose::tls_server},
    {"1.3.6.1.5.5.7.3.2", "clientAuth", Purpose::tls_client},
    {"2.5.29.37.0", "anyExtendedKeyUsage", std::nullopt},
}};
constexpr std::string_view kAnyUsage = "2.5.29.37.0";

// What stands in front of a domain to make a name that nobody has.
constexpr std::string_view kExampleLabel = "gatehouse-check.";
constexpr std::string_view kExampleDomain = "example.com";

const Usage* find_usage(std::string_view oid) {
  const auto* found = std::ranges::find(kUsages, oid, &Usage::oid);
  return found == kUsages.end() ? nullptr : found;
}

std::string name_of(const std::string& oid) {
  const Usage* usage = find_usage(oid);
  return usage == nullptr ? oid : std::string(usage->name);
}

// OpenSSL, and so most of what verifies TLS, does not take anyExtendedKeyUsage for serverAuth or
// clientAuth.
bool lets_certify(const Certificate& ca, const std::string& oid) {
  const std::vector<std::string>& usages = ca.extended_key_usages;
  if (usages.empty() || std::ranges::find(usages, oid) != usages.end()) return true;
  return find_usage(oid) == nullptr && std::ranges::find(usages, kAnyUsage) != usages.end();
}

std::vector<Certificate> cas_above(const Issuer& issuer) {
  std::vector<Certificate> cas = issuer.chain;
  if (issuer.root) cas.push_back(*issuer.root);
  return cas;
}

std::optional<std::string> why_openssl_would_refuse(const Certificate& leaf, const Issuer& issuer,
                                                    Purpose purpose, Instant at) {
  std::vector<Certificate> chain = issuer.chain;
  chain.insert(chain.begin(), leaf);
  const Certificate& anchor = issuer.root ? *issuer.root : issuer.chain.back();
  const auto why = crypto::why_openssl_would_refuse(chain, anchor, purpose, at);
  if (!why) return std::nullopt;
  return "at " + to_rfc3339(at) + " " + *why +
         "; have the CA's certificate corrected by whoever issued it";
}

std::optional<std::string> why_no_name(const Certificate& ca) {
  const Bytes empty_name = {0x30, 0x00};
  if (ca.subject_name_der != empty_name) return std::nullopt;
  return "the CA certificate with serial " + ca.serial +
         " has an empty subject, which RFC 5280 section 4.1.2.6 forbids and by which no chain can "
         "be built; have it issued with a name";
}

std::optional<Identifier> first_permitted(const std::vector<std::string>& names,
                                          const std::vector<NameConstraints>& constraints) {
  for (const std::string& name : names) {
    const auto identifier = IpAddress::parse(name) ? ip_identifier(name) : dns_identifier(name);
    const bool permitted = std::ranges::none_of(constraints, [&](const NameConstraints& each) {
      return why_outside(each, name).has_value();
    });
    // A constraint to "*.corp.example" holds that very text and no name that a host could have.
    if (identifier && !identifier->is_wildcard() && permitted) return *identifier;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_usages_forbidden(const Certificate& leaf,
                                                const std::vector<Certificate>& cas) {
  for (const std::string& oid : leaf.extended_key_usages) {
    for (const Certificate& ca : cas) {
      if (lets_certify(ca, oid)) continue;
      std::vector<std::string> has;
      for (const std::string& usage : ca.extended_key_usages) has.push_back(name_of(usage));
      return "\"" + ca.subject_name + "\" may certify for " + join(has, ", ") +
             " alone (its extendedKeyUsage), and the certificate is for " + name_of(oid) +
             ": every verifier would refuse it; have the CA's certificate issued without "
             "extendedKeyUsage, or with " +
             name_of(oid) + " in it";
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_not_accepted(const Certificate& leaf, const Issuer& issuer,
                                            Instant now) {
  const std::vector<Certificate> cas = cas_above(issuer);
  for (const Certificate& ca : cas) {
    if (auto why = why_no_name(ca)) return why;
  }
  // Before OpenSSL's verdict, which names neither the usage nor the next step.
  if (auto why = why_usages_forbidden(leaf, cas)) return why;
  std::vector<Purpose> purposes = {Purpose::any};
  for (const std::string& oid : leaf.extended_key_usages) {
    const Usage* usage = find_usage(oid);
    if (usage != nullptr && usage->purpose) purposes.push_back(*usage->purpose);
  }
  // To OpenSSL the second of notAfter is over.
  const Instant end = leaf.not_after - std::chrono::seconds(1);
  for (const Purpose purpose : purposes) {
    for (const Instant at : {std::max(now, leaf.not_before), end}) {
      if (auto why = why_openssl_would_refuse(leaf, issuer, purpose, at)) return why;
    }
  }
  return std::nullopt;
}

std::optional<Identifier> example_below(const std::vector<NameConstraints>& constraints) {
  std::vector<std::string> names = {std::string(kExampleLabel) + std::string(kExampleDomain)};
  std::vector<std::string> addresses = {"192.0.2.1", "2001:db8::1"};
  bool of_names = false;
  bool of_addresses = false;
  for (const NameConstraints& each : constraints) {
    of_names = of_names || !each.permitted_dns.empty();
    of_addresses = of_addresses || !each.permitted_ip.empty();
    for (const std::string& subtree : each.permitted_dns) {
      const std::string domain = subtree.starts_with(".") ? subtree.substr(1) : subtree;
      names.push_back(std::string(kExampleLabel) + domain);
      names.push_back(domain);
    }
    for (const IpPrefix& prefix : each.permitted_ip) {
      addresses.push_back(prefix.address.to_string());
    }
  }
  if (auto name = first_permitted(names, constraints)) return name;
  // A CA that is constrained to names that do not exist was not meant for every address.
  return of_names && !of_addresses ? std::nullopt : first_permitted(addresses, constraints);
}

}  // namespace gatehouse::backends
