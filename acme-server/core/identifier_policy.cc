#include "acme-server/core/identifier_policy.h"

#include <libpsl.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"

namespace gatehouse {
namespace {

constexpr std::size_t kRuleSample = 80;

bool is_at_or_below(std::string_view name, std::string_view zone) {
  return name == zone ||
         (name.ends_with(zone) && name.substr(0, name.size() - zone.size()).ends_with('.'));
}

std::string_view parent_of(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

// Does `rule` speak of `identifier`: the name or anything below it, or with "*.", wildcards of it
// alone.
bool covers(const std::string& rule, const Identifier& identifier) {
  const std::string folded = to_lower(rule);
  const Identifier base = identifier.base();
  if (folded.starts_with("*.")) {
    return identifier.is_wildcard() &&
           is_at_or_below(base.value, std::string_view(folded).substr(2));
  }
  return is_at_or_below(base.value, folded);
}

// As covers(), and a wildcard that would serve a denied name: "*.corp.example" where
// "hr.corp.example" is denied.
bool denies(const std::string& rule, const Identifier& identifier) {
  return covers(rule, identifier) ||
         (identifier.is_wildcard() && identifier.base().value == parent_of(to_lower(rule)));
}

bool in_any(const IpAddress& address, const std::vector<IpPrefix>& prefixes) {
  return std::ranges::any_of(prefixes,
                             [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

bool is_public_suffix(const std::string& name) {
  // The list that libpsl was built with: it changes with the distribution's package and never in
  // between. Only its ICANN part names registries; the private part names companies that may well
  // order for themselves.
  const psl_ctx_t* const list = psl_builtin();
  ACME_CHECK(list != nullptr);  // Debian builds libpsl with its list
  return psl_is_public_suffix2(list, name.c_str(), PSL_TYPE_ICANN) == 1;
}

std::optional<std::string> why_dns_refused(const Identifier& identifier,
                                           const IdentifierPolicy& policy) {
  const std::string name = identifier.base().value;
  if (identifier.is_wildcard() && !policy.allow_wildcards) {
    return identifier.value +
           " is a wildcard, and this profile has none: order the names themselves";
  }
  if (!policy.allow_single_label && name.find('.') == std::string::npos) {
    return identifier.value + " has a single label: order a fully qualified name";
  }
  const auto denied = std::ranges::find_if(
      policy.denied_dns, [&](const std::string& rule) { return denies(rule, identifier); });
  if (denied != policy.denied_dns.end()) {
    return identifier.value + " is denied by this server's policy for names (" + *denied + ")";
  }
  if (!policy.allowed_dns.empty() &&
      std::ranges::none_of(policy.allowed_dns,
                           [&](const std::string& rule) { return covers(rule, identifier); })) {
    return identifier.value + " is outside the domains that this server issues for";
  }
  if (policy.public_suffix_rule && is_public_suffix(name)) {
    return identifier.is_wildcard()
               ? identifier.value + " is a wildcard right below the public suffix " + name +
                     ": order names below a registered domain"
               : identifier.value + " is a public suffix: order names below it";
  }
  return std::nullopt;
}

std::optional<std::string> why_ip_refused(const Identifier& identifier,
                                          const IdentifierPolicy& policy) {
  const std::optional<IpAddress> address = IpAddress::parse(identifier.value);
  ACME_CHECK(address.has_value());
  if (!policy.allow_ip) {
    return identifier.value + " is an IP address, and this profile has none: order a DNS name";
  }
  // An IPv6 address that leads to a denied IPv4 one is denied with it.
  std::vector<IpAddress> reached = embedded_ipv4(*address);
  reached.push_back(*address);
  if (std::ranges::any_of(reached,
                          [&](const IpAddress& a) { return in_any(a, policy.denied_ip); })) {
    return identifier.value + " is denied by this server's policy for addresses";
  }
  if (!policy.allowed_ip.empty() && !in_any(*address, policy.allowed_ip)) {
    return identifier.value + " is outside the networks that this server issues for";
  }
  return std::nullopt;
}

std::optional<std::string> why_no_suffix(const std::string& rule) {
  const auto name = dns_identifier(rule);
  if (!name) {
    return "the rule \"" + sanitize(rule, kRuleSample) + "\" is no domain: " + name.error().detail;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_refused(const Identifier& identifier,
                                       const IdentifierPolicy& policy) {
  switch (identifier.type) {
    case IdentifierType::dns:
      return why_dns_refused(identifier, policy);
    case IdentifierType::ip:
      return why_ip_refused(identifier, policy);
  }
  ACME_CHECK(false);
  return std::nullopt;
}

std::optional<std::string> why_unusable(const IdentifierPolicy& policy) {
  for (const auto* rules : {&policy.allowed_dns, &policy.denied_dns}) {
    for (const std::string& rule : *rules) {
      if (auto why = why_no_suffix(rule)) {
        return why;
      }
    }
  }
  if (policy.public_suffix_rule && psl_builtin() == nullptr) {
    return "public_suffix_rule needs a libpsl that was built with the list: install the "
           "distribution's libpsl";
  }
  return std::nullopt;
}

}  // namespace gatehouse
