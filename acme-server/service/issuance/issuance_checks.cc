#include "acme-server/service/issuance/issuance_checks.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/store/issuances.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

using Wrong = std::optional<std::string>;

constexpr std::string_view kKeyEncipherment = "keyEncipherment";

// RFC 5280 section 4.2.1.12; what is not in the table stands in profiles as an OID.
constexpr std::pair<std::string_view, std::string_view> kPurposes[] = {
    {"serverAuth", "1.3.6.1.5.5.7.3.1"},   {"clientAuth", "1.3.6.1.5.5.7.3.2"},
    {"codeSigning", "1.3.6.1.5.5.7.3.3"},  {"emailProtection", "1.3.6.1.5.5.7.3.4"},
    {"timeStamping", "1.3.6.1.5.5.7.3.8"}, {"OCSPSigning", "1.3.6.1.5.5.7.3.9"},
};

std::string oid_of(const std::string& purpose) {
  const auto* row =
      std::ranges::find(kPurposes, purpose, [](const auto& each) { return each.first; });
  return row == std::end(kPurposes) ? purpose : std::string(row->second);
}

Wrong why_wrong_issuer(const crypto::Certificate& leaf, const store::Issuance& issuance,
                       const backends::Issuer* issuer, crypto::ChainChecker& chains) {
  if (issuer == nullptr) {
    return "the backend " + issuance.backend + " does not know the issuer " +
           issuance.issuer.str() + " of the intent";
  }
  const crypto::Certificate& authority = issuer->certificate;
  if (leaf.issuer_name_der != authority.subject_name_der) {
    return "its issuer is " + leaf.issuer_name + ", not " + authority.subject_name;
  }
  if (leaf.authority_key_id != authority.subject_key_id) {
    return "its authority key identifier is not that of " + authority.subject_name;
  }
  if (!chains.is_signed_by(leaf, authority)) {
    return "its signature is not one of " + authority.subject_name + "'s key";
  }
  return std::nullopt;
}

Wrong why_wrong_facts(const crypto::Certificate& leaf, const store::Issuance& issuance) {
  if (!issuance.serial.empty() && leaf.serial != issuance.serial) {
    return "its serial is " + leaf.serial + ", the intent says " + issuance.serial;
  }
  if (leaf.not_before != issuance.not_before) {
    return "its notBefore is " + to_rfc3339(leaf.not_before) + ", the intent says " +
           to_rfc3339(issuance.not_before);
  }
  if (leaf.not_after != issuance.not_after) {
    return "its notAfter is " + to_rfc3339(leaf.not_after) + ", the intent says " +
           to_rfc3339(issuance.not_after);
  }
  if (crypto::spki_sha256_of(leaf.spki) != issuance.spki_sha256) {
    return "its key is not the CSR's";
  }
  if (leaf.is_ca || leaf.path_length || leaf.key_cert_sign || leaf.crl_sign) {
    return "it is a CA's certificate";
  }
  const std::vector<std::string> urls = issuance.crl_url.empty()
                                            ? std::vector<std::string>{}
                                            : std::vector<std::string>{issuance.crl_url};
  if (leaf.crl_urls != urls) {
    return "its CRL distribution points are [" + join(leaf.crl_urls, ", ") +
           "], the intent says [" + issuance.crl_url + "]";
  }
  return std::nullopt;
}

// The identifier that a certificate's text says in canonical form already, or nothing: what we
// ordered is canonical.
Wrong add_name(std::set<Identifier>& names, const Expected<Identifier, IdentifierError>& parsed,
               const std::string& written) {
  if (!parsed || parsed->value != written) {
    return "its name \"" + sanitize(written, kMaxDnsNameLength) + "\" is not in canonical form";
  }
  if (!names.insert(*parsed).second) {
    return "its name " + written + " is there twice";
  }
  return std::nullopt;
}

Wrong why_wrong_names(const crypto::Certificate& leaf, const Order& order) {
  if (leaf.has_other_names) {
    return "its subjectAltName has names of other types";
  }
  std::set<Identifier> names;
  for (const std::string& name : leaf.dns_names) {
    if (Wrong why = add_name(names, dns_identifier(name), name)) {
      return why;
    }
  }
  for (const std::string& address : leaf.ip_addresses) {
    if (Wrong why = add_name(names, ip_identifier(address), address)) {
      return why;
    }
  }
  const std::set<Identifier> ordered(order.identifiers.begin(), order.identifiers.end());
  if (names != ordered) {
    return "its names are not exactly those of the order";
  }
  for (const std::string& name : leaf.common_names) {
    if (std::ranges::none_of(ordered, [&](const Identifier& each) { return each.value == name; })) {
      return "its common name \"" + sanitize(name, kMaxDnsNameLength) + "\" is not in the order";
    }
  }
  return std::nullopt;
}

Wrong why_wrong_usages(const crypto::Certificate& leaf, const Profile& profile) {
  std::set<std::string> asked(profile.key_usages.begin(), profile.key_usages.end());
  std::set<std::string> given(leaf.key_usages.begin(), leaf.key_usages.end());
  // Profiles ask for keyEncipherment for RSA keys; a backend leaves it out for the others.
  if (asked.erase(std::string(kKeyEncipherment)) > 0) {
    given.erase(std::string(kKeyEncipherment));
  }
  if (given != asked) {
    return "its key usages are [" + join(leaf.key_usages, ", ") + "], profile " + profile.name +
           " says [" + join(profile.key_usages, ", ") + "]";
  }
  std::set<std::string> purposes;
  for (const std::string& purpose : profile.extended_key_usages) {
    purposes.insert(oid_of(purpose));
  }
  if (std::set<std::string>(leaf.extended_key_usages.begin(), leaf.extended_key_usages.end()) !=
      purposes) {
    return "its extended key usages are [" + join(leaf.extended_key_usages, ", ") + "], profile " +
           profile.name + " says [" + join(profile.extended_key_usages, ", ") + "]";
  }
  return std::nullopt;
}

// When the chain must hold: not before the leaf itself does, nor before anybody could have signed
// it.
Instant moment_of(const crypto::Certificate& leaf, const store::Issuance& issuance) {
  return std::max(leaf.not_before, issuance.created);
}

// An alternate chain may lead to a root that we do not know (a cross-signed issuer): then its own
// last certificate is what the others must lead to.
Wrong why_wrong_alternate(const std::string& pem, const crypto::Certificate& leaf, Instant at,
                          crypto::ChainChecker& chains) {
  const auto chain = chains.parse_chain(pem);
  if (!chain || chain->empty()) {
    return "an alternate chain cannot be read: " + (chain ? "it is empty" : chain.error());
  }
  if (chain->front().der != leaf.der) {
    return "an alternate chain begins with another certificate";
  }
  if (const Wrong why = chains.why_fails(*chain, chain->back(), at)) {
    return "an alternate chain does not verify: " + *why;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_wrong(const backends::Issued& issued, const Order& order,
                                     const store::Issuance& issuance, const Profile* profile,
                                     const backends::Issuer* issuer, crypto::ChainChecker& chains) {
  const auto chain = chains.parse_chain(issued.chain_pem);
  if (!chain || chain->empty()) {
    return "the chain cannot be read: " + (chain ? "it is empty" : chain.error());
  }
  const crypto::Certificate& leaf = chain->front();
  if (Wrong why = why_wrong_issuer(leaf, issuance, issuer, chains)) {
    return why;
  }
  if (Wrong why = why_wrong_facts(leaf, issuance)) {
    return why;
  }
  if (Wrong why = why_wrong_names(leaf, order)) {
    return why;
  }
  if (profile != nullptr) {
    if (Wrong why = why_wrong_usages(leaf, *profile)) {
      return why;
    }
  }
  const Instant at = moment_of(leaf, issuance);
  const crypto::Certificate& root = issuer->root ? *issuer->root : issuer->chain.back();
  if (const Wrong why = chains.why_fails(*chain, root, at)) {
    return "the chain does not verify: " + *why;
  }
  for (const std::string& alternate : issued.alternate_chains_pem) {
    if (Wrong why = why_wrong_alternate(alternate, leaf, at, chains)) {
      return why;
    }
  }
  return std::nullopt;
}

}  // namespace gatehouse::service
