#include "acme-server/service/issuance/issuance_checks.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/duration.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"

namespace gatehouse::service {
namespace {

using Wrong = std::optional<std::string>;

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

// What stands in messages in place of what a fact is expected to be.
std::string text_of(Instant instant) {
  return to_rfc3339(instant);
}

std::string text_of(const std::string& text) {
  return text;
}

template <class T>
std::string text_of(const backends::Exact<T>& exact) {
  return text_of(exact.value);
}

template <class T>
std::string text_of(const backends::Range<T>& range) {
  return "between " + text_of(range.first) + " and " + text_of(range.last);
}

template <class T>
std::string text_of(const backends::OneOf<T>& one_of) {
  return "one of [" + join(one_of.values, ", ") + "]";
}

std::string text_of(backends::Absent /*none*/) {
  return "none";
}

std::string text_of(backends::CaChooses /*anything*/) {
  return "anything";
}

template <class T>
bool meets(const backends::Exact<T>& exact, const T& value) {
  return value == exact.value;
}

template <class T>
bool meets(const backends::Range<T>& range, const T& value) {
  return range.first <= value && value <= range.last;
}

template <class T>
bool meets(const backends::OneOf<T>& one_of, const T& value) {
  return std::ranges::find(one_of.values, value) != one_of.values.end();
}

template <class T>
bool meets(backends::Absent /*none*/, const T& /*value*/) {
  return false;
}

template <class T>
bool meets(backends::CaChooses /*anything*/, const T& /*value*/) {
  return true;
}

template <class Fact, class T>
bool fact_is(const Fact& expected, const T& value) {
  return std::visit([&](const auto& alternative) { return meets(alternative, value); }, expected);
}

template <class Fact>
std::string text_of_fact(const Fact& expected) {
  return std::visit([](const auto& alternative) { return text_of(alternative); }, expected);
}

template <class Fact, class T>
Wrong why_wrong_fact(std::string_view name, const Fact& expected, const T& value) {
  if (fact_is(expected, value)) return std::nullopt;
  return "its " + std::string(name) + " is " + text_of(value) + ", the intent says " +
         text_of_fact(expected);
}

// Key identifiers that one of the two leaves out (RFC 5280 section 4.2.1.1 notwithstanding) say
// nothing, where the intent does not fix the issuer; its signature does.
bool key_ids_differ(const crypto::Certificate& leaf, const crypto::Certificate& authority,
                    const backends::ExpectedIssuer& expected) {
  const bool fixed = std::holds_alternative<backends::Exact<IssuerId>>(expected);
  if (!fixed && (leaf.authority_key_id.empty() || authority.subject_key_id.empty())) return false;
  return leaf.authority_key_id != authority.subject_key_id;
}

Wrong why_not_of(const crypto::Certificate& leaf, const crypto::Certificate& authority,
                 const backends::ExpectedIssuer& expected) {
  if (leaf.issuer_name_der != authority.subject_name_der) {
    return "its issuer is " + leaf.issuer_name + ", not " + authority.subject_name;
  }
  if (key_ids_differ(leaf, authority, expected)) {
    return "its authority key identifier is not that of " + authority.subject_name;
  }
  return std::nullopt;
}

// Which of the issuers that the intent allows has signed the leaf.
Expected<const backends::Issuer*, std::string> issuer_of_leaf(
    const crypto::Certificate& leaf, const backends::ExpectedIssuer& expected,
    std::span<const backends::Issuer* const> issuers, crypto::ChainChecker& chains) {
  std::string why = "no issuer that the intent allows is known";
  for (const backends::Issuer* issuer : issuers) {
    if (!backends::is_allowed(issuer->id, expected)) continue;
    if (Wrong differs = why_not_of(leaf, issuer->certificate, expected)) {
      why = *differs;
    } else if (!chains.is_signed_by(leaf, issuer->certificate)) {
      why = "its signature is not one of " + issuer->certificate.subject_name + "'s key";
    } else {
      return issuer;
    }
  }
  return Unexpected{why};
}

Wrong why_wrong_crl_urls(const std::vector<std::string>& urls,
                         const backends::ExpectedCrlUrl& expected) {
  const bool fits = std::holds_alternative<backends::CaChooses>(expected) ||
                    (std::holds_alternative<backends::Absent>(expected)
                         ? urls.empty()
                         : urls.size() == 1 && fact_is(expected, urls.front()));
  if (fits) return std::nullopt;
  return "its CRL distribution points are [" + join(urls, ", ") + "], the intent says " +
         text_of_fact(expected);
}

Wrong why_wrong_facts(const crypto::Certificate& leaf,
                      const backends::CertificateExpectation& expected) {
  if (Wrong why = why_wrong_fact("serial", expected.serial, leaf.serial)) return why;
  if (Wrong why = why_wrong_fact("notBefore", expected.not_before, leaf.not_before)) return why;
  if (Wrong why = why_wrong_fact("notAfter", expected.not_after, leaf.not_after)) return why;
  // RFC 5280 section 4.1.2.5: both ends are inclusive.
  const auto validity = leaf.not_after - leaf.not_before + std::chrono::seconds(1);
  if (expected.longest_validity && validity > *expected.longest_validity) {
    return "it is valid for " + print_duration(validity) + ", the intent allows " +
           print_duration(*expected.longest_validity);
  }
  if (crypto::spki_sha256_of(leaf.spki) != expected.spki_sha256) {
    return "its key is not the CSR's";
  }
  if (leaf.is_ca || leaf.path_length || leaf.key_cert_sign || leaf.crl_sign) {
    return "it is a CA's certificate";
  }
  return why_wrong_crl_urls(leaf.crl_urls, expected.crl_url);
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

Wrong why_wrong_names(const crypto::Certificate& leaf,
                      const backends::CertificateExpectation& expected) {
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
  const std::set<Identifier> ordered(expected.names.begin(), expected.names.end());
  if (names != ordered) {
    return "its names are not exactly those of the order";
  }
  for (const std::string& name : leaf.common_names) {
    if (std::ranges::none_of(ordered, [&](const Identifier& each) { return each.value == name; })) {
      return "its common name \"" + sanitize(name, kMaxDnsNameLength) + "\" is not in the order";
    }
  }
  if (expected.subject && leaf.subject_name != *expected.subject) {
    return "its subject is \"" + leaf.subject_name + "\", the intent says \"" + *expected.subject +
           "\"";
  }
  return std::nullopt;
}

Wrong why_wrong_usages(std::string_view name, const std::vector<std::string>& given,
                       const backends::ExpectedUsages& expected) {
  std::set<std::string> missing;
  for (const std::string& usage : expected.required) missing.insert(oid_of(usage));
  std::set<std::string> allowed = missing;
  for (const std::string& usage : expected.allowed) allowed.insert(oid_of(usage));
  bool fits = true;
  for (const std::string& usage : given) {
    missing.erase(usage);
    fits = fits && allowed.contains(usage);
  }
  if (fits && missing.empty()) return std::nullopt;
  return "its " + std::string(name) + " are [" + join(given, ", ") + "], the intent requires [" +
         join(expected.required, ", ") + "] and allows [" + join(expected.allowed, ", ") + "]";
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

Expected<CheckedCertificate, std::string> check_issued(
    const backends::Issued& issued, const backends::CertificateExpectation& expected,
    std::span<const backends::Issuer* const> issuers, Instant intent_made,
    crypto::ChainChecker& chains) {
  const auto chain = chains.parse_chain(issued.chain_pem);
  if (!chain || chain->empty()) {
    return Unexpected{"the chain cannot be read: " + (chain ? "it is empty" : chain.error())};
  }
  const crypto::Certificate& leaf = chain->front();
  const auto found = issuer_of_leaf(leaf, expected.issuer, issuers, chains);
  if (!found) return Unexpected{found.error()};
  const backends::Issuer& issuer = **found;
  if (Wrong why = why_wrong_facts(leaf, expected)) return Unexpected{*why};
  if (Wrong why = why_wrong_names(leaf, expected)) return Unexpected{*why};
  if (expected.key_usages) {
    if (Wrong why = why_wrong_usages("key usages", leaf.key_usages, *expected.key_usages)) {
      return Unexpected{*why};
    }
  }
  if (expected.extended_key_usages) {
    if (Wrong why = why_wrong_usages("extended key usages", leaf.extended_key_usages,
                                     *expected.extended_key_usages)) {
      return Unexpected{*why};
    }
  }
  // When the chains must hold: not before the leaf itself does, nor before it could be signed.
  const Instant at = std::max(leaf.not_before, intent_made);
  const crypto::Certificate& root = issuer.root ? *issuer.root : issuer.chain.back();
  if (const Wrong why = chains.why_fails(*chain, root, at)) {
    return Unexpected{"the chain does not verify: " + *why};
  }
  for (const std::string& alternate : issued.alternate_chains_pem) {
    if (Wrong why = why_wrong_alternate(alternate, leaf, at, chains)) return Unexpected{*why};
  }
  return CheckedCertificate{.leaf = leaf, .issuer = issuer.id};
}

}  // namespace gatehouse::service
