#include "acme-server/crypto/name_constraints.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/names.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

using Problem = std::optional<std::string>;

constexpr std::string_view kEcdsaWithSha256 = "1.2.840.10045.4.3.2";
constexpr std::size_t kMaxSubtrees = 1024;  // OpenSSL gives up at 2^20 comparisons
constexpr std::string_view kWildcard = "*.";

// Address and mask, 4 or 16 octets each. Nothing where the mask is no prefix.
std::optional<IpPrefix> prefix_of(ByteView octets) {
  const std::size_t half = octets.size() / 2;
  auto address = IpAddress::from_bytes(octets.first(half));
  if (octets.size() % 2 != 0 || !address) return std::nullopt;
  int length = 0;
  bool ended = false;
  for (std::size_t i = 0; i < half; ++i) {
    const std::uint8_t mask = octets[half + i];
    const int ones = std::countl_one(mask);
    if ((ended && mask != 0) || std::popcount(mask) != ones) return std::nullopt;
    length += ones;
    ended = ended || ones < 8;
    address->octets.at(i) = static_cast<std::uint8_t>(address->octets.at(i) & mask);
  }
  return IpPrefix{.address = *address, .length = length};
}

Problem read_subtree(const GENERAL_SUBTREE& subtree, std::vector<std::string>& dns,
                     std::vector<IpPrefix>& ip, bool& of_subjects) {
  // RFC 5280: "the minimum MUST be zero, and maximum MUST be absent."
  if ((subtree.minimum != nullptr && ASN1_INTEGER_get(subtree.minimum) != 0) ||
      subtree.maximum != nullptr) {
    return "its name constraints have a minimum or maximum";
  }
  if (subtree.base->type == GEN_DNS) {
    dns.push_back(to_lower(as_text(asn1::octets_of(subtree.base->d.dNSName))));
  } else if (subtree.base->type == GEN_IPADD) {
    const auto prefix = prefix_of(asn1::octets_of(subtree.base->d.iPAddress));
    if (!prefix) return "its name constraints have an IP range that is no address and prefix";
    ip.push_back(*prefix);
  } else if (subtree.base->type == GEN_DIRNAME) {
    of_subjects = true;
  }
  return std::nullopt;  // of other types there is nothing in what we issue
}

Problem read_subtrees(const STACK_OF(GENERAL_SUBTREE) * subtrees, std::vector<std::string>& dns,
                      std::vector<IpPrefix>& ip, bool& of_subjects) {
  const int count = sk_GENERAL_SUBTREE_num(subtrees);
  if (count > static_cast<int>(kMaxSubtrees)) return "it has too many name constraints";
  for (int i = 0; i < count; ++i) {
    if (auto problem = read_subtree(*sk_GENERAL_SUBTREE_value(subtrees, i), dns, ip, of_subjects)) {
      return problem;
    }
  }
  return std::nullopt;
}

using ConstraintsHandle = std::unique_ptr<NAME_CONSTRAINTS, FreeWith<NAME_CONSTRAINTS_free>>;

// The extension as OpenSSL has it: empty when there is none. The error: not DER.
Expected<ConstraintsHandle, std::string> decode_constraints(const Certificate& ca) {
  const auto decoded = asn1::decode<asn1::SignedCertificate::item, asn1::SignedCertificate>(ca.der);
  ACME_CHECK(decoded != nullptr);  // a Certificate is one that was read
  const auto extensions = read_extensions(decoded->tbs->extensions);
  ACME_CHECK(extensions.has_value());
  const auto value = find_extension(*extensions, NID_name_constraints);
  if (!value) return ConstraintsHandle();
  auto constraints = asn1::decode<NAME_CONSTRAINTS_it, NAME_CONSTRAINTS>(*value);
  if (!constraints) return Unexpected{std::string("its name constraints are not DER")};
  return ConstraintsHandle(constraints.release());
}

// "corp.example" holds itself and all below it; ".corp.example" only what is below.
bool holds(const std::string& subtree, std::string_view name) {
  if (subtree.empty()) return true;
  if (name.size() <= subtree.size()) return name == subtree;
  const std::string_view tail = name.substr(name.size() - subtree.size());
  return tail == subtree &&
         (subtree.front() == '.' || name[name.size() - subtree.size() - 1] == '.');
}

// Whether the wildcard `name` stands for a name in `subtree` though it is not in it itself.
bool covers(std::string_view name, const std::string& subtree) {
  if (!name.starts_with(kWildcard) || subtree.starts_with(".")) return false;
  const std::size_t dot = subtree.find('.');
  return dot != std::string::npos && subtree.substr(dot + 1) == name.substr(kWildcard.size());
}

std::string in_quotes(std::string_view name) {
  return "\"" + sanitize(name, 255) + "\"";
}

template <class Subtrees, class Print>
std::string listed(const Subtrees& subtrees, const Print& print) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> shown;
  for (const auto& subtree : subtrees) {
    if (shown.size() == kShown) {
      shown.emplace_back("…");
      break;
    }
    shown.push_back(print(subtree));
  }
  return join(shown, ", ");
}

Problem why_dns_outside(const NameConstraints& constraints, std::string_view name) {
  const auto print = [](const std::string& subtree) { return in_quotes(subtree); };
  for (const std::string& excluded : constraints.excluded_dns) {
    if (holds(excluded, name) || covers(name, excluded)) {
      return in_quotes(name) + " is in " + print(excluded) +
             ", which this CA's certificate excludes (name constraints).";
    }
  }
  const auto& permitted = constraints.permitted_dns;
  if (permitted.empty() ||
      std::ranges::any_of(permitted, [&](const auto& subtree) { return holds(subtree, name); })) {
    return std::nullopt;
  }
  return in_quotes(name) +
         " is outside of what this CA's certificate permits (name constraints): " +
         listed(permitted, print) + ".";
}

Problem why_ip_outside(const NameConstraints& constraints, const IpAddress& address) {
  const auto print = [](const IpPrefix& subtree) { return subtree.to_string(); };
  for (const IpPrefix& excluded : constraints.excluded_ip) {
    if (excluded.contains(address)) {
      return address.to_string() + " is in " + print(excluded) +
             ", which this CA's certificate excludes (name constraints).";
    }
  }
  const auto& permitted = constraints.permitted_ip;
  if (permitted.empty() || std::ranges::any_of(permitted, [&](const IpPrefix& subtree) {
        return subtree.contains(address);
      })) {
    return std::nullopt;
  }
  return address.to_string() +
         " is outside of what this CA's certificate permits (name constraints): " +
         listed(permitted, print) + ".";
}

// A DNS name, or one behind a dot, or nothing: every name.
bool is_dns_subtree(std::string_view subtree) {
  if (subtree.starts_with(".")) subtree.remove_prefix(1);
  if (subtree.empty()) return true;
  const auto is_label = [](std::string_view label) {
    return !label.empty() && std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
  };
  return std::ranges::all_of(split(subtree, '.'), is_label);
}

// What OpenSSL says of a certificate with `name` alone. Its signature is of no account here.
bool openssl_permits(const Certificate& ca, NAME_CONSTRAINTS& constraints,
                     const std::string& name) {
  CertificateTemplate leaf;
  leaf.serial = {1};
  leaf.issuer_name_der = ca.subject_name_der;
  leaf.not_before = ca.not_before;
  leaf.not_after = ca.not_after;
  leaf.spki = ca.spki;
  (IpAddress::parse(name) ? leaf.ip_addresses : leaf.dns_names).push_back(name);
  const Bytes algorithm = der::sequence({der::oid(kEcdsaWithSha256)});
  const Bytes octets =
      der::sequence({make_tbs(leaf, algorithm), algorithm, der::bit_string(Bytes(std::size_t{8}))});
  const std::uint8_t* at = octets.data();
  const X509Handle decoded = require_handle(
      X509Handle(d2i_X509(nullptr, &at, static_cast<long>(octets.size()))), "probing constraints");
  X509_check_purpose(decoded.get(), -1, 0);  // has it read the extensions
  const int verdict = NAME_CONSTRAINTS_check(decoded.get(), &constraints);
  drain_openssl_errors();
  return verdict == X509_V_OK;
}

// Names in, above, below and beside each subtree, of both kinds.
std::vector<std::string> probes_for(const NameConstraints& constraints) {
  std::vector<std::string> probes = {"gatehouse.invalid", "192.0.2.1", "2001:db8::1"};
  for (const auto* list : {&constraints.permitted_dns, &constraints.excluded_dns}) {
    for (const std::string& subtree : *list) {
      const std::string bare = subtree.starts_with(".") ? subtree.substr(1) : subtree;
      if (bare.empty()) continue;
      for (const char* before : {"", "a.", "a.b.", "*.", "x"}) probes.push_back(before + bare);
    }
  }
  for (const auto* list : {&constraints.permitted_ip, &constraints.excluded_ip}) {
    for (const IpPrefix& subtree : *list) {
      IpAddress probe = subtree.address;
      probes.push_back(probe.to_string());
      if (subtree.length == 0) continue;
      const auto last = static_cast<std::size_t>(subtree.length - 1);
      probe.octets.at(last / 8) ^= static_cast<std::uint8_t>(0x80U >> last % 8);
      probes.push_back(probe.to_string());
    }
  }
  return probes;
}

}  // namespace

Expected<NameConstraints, std::string> read_name_constraints(const Certificate& ca) {
  auto decoded = decode_constraints(ca);
  if (!decoded) return Unexpected{decoded.error()};
  NameConstraints read;
  const NAME_CONSTRAINTS* constraints = decoded->get();
  if (constraints == nullptr) return read;
  for (auto problem : {read_subtrees(constraints->permittedSubtrees, read.permitted_dns,
                                     read.permitted_ip, read.of_subjects),
                       read_subtrees(constraints->excludedSubtrees, read.excluded_dns,
                                     read.excluded_ip, read.of_subjects)}) {
    if (problem) return Unexpected{std::move(*problem)};
  }
  return read;
}

std::optional<std::string> why_outside(const NameConstraints& constraints, std::string_view name) {
  if (const auto address = IpAddress::parse(name)) return why_ip_outside(constraints, *address);
  return why_dns_outside(constraints, name);
}

std::optional<std::string> why_constraints_are_no_names(const Certificate& ca) {
  const auto constraints = read_name_constraints(ca);
  if (!constraints) return constraints.error();
  for (const auto* list : {&constraints->permitted_dns, &constraints->excluded_dns}) {
    for (const std::string& subtree : *list) {
      if (is_dns_subtree(subtree)) continue;
      return "its name constraints have " + in_quotes(subtree) +
             ", which is no DNS name; a constraint is a plain name such as corp.example, without "
             "\"*.\" in front or a dot at the end, and covers all names below it";
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_constraints_are_read_differently(const Certificate& ca) {
  const auto ours = read_name_constraints(ca);
  if (!ours) return ours.error();
  const auto theirs = decode_constraints(ca);
  if (!*theirs) return std::nullopt;
  for (const std::string& probe : probes_for(*ours)) {
    const bool we = !why_outside(*ours, probe);
    const bool they = openssl_permits(ca, **theirs, probe);
    if (we == they || (!we && probe.starts_with(kWildcard))) continue;
    return "verifiers read its name constraints differently: " + in_quotes(probe) +
           (they ? " is good for OpenSSL alone" : " is not good for OpenSSL");
  }
  return std::nullopt;
}

}  // namespace gatehouse::crypto
