// Name constraints (RFC 5280 section 4.2.1.10): which names a CA's certificate lets it certify.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::crypto {

// Of a list that is empty nothing is said: with no permitted subtree of a kind, all of it is.
struct NameConstraints {
  std::vector<std::string> permitted_dns, excluded_dns;  // lower case; "" is every name
  std::vector<IpPrefix> permitted_ip, excluded_ip;
  bool of_subjects = false;  // directoryName subtrees: a subject that is not empty may not fit

  friend bool operator==(const NameConstraints&, const NameConstraints&) = default;
};

// What `ca` says; nothing at all for one without the extension. The error is a sentence: an
// extension that is not DER, or with what verifiers disagree about (minimum, maximum, a mask with
// holes).
Expected<NameConstraints, std::string> read_name_constraints(const Certificate& ca);

// Why a certificate with `name`, a DNS name in lower case (wildcards too) or an IP address, would
// not be accepted below a CA with `constraints`; nothing when it would. A wildcard that covers an
// excluded name is refused, which not every verifier does.
std::optional<std::string> why_outside(const NameConstraints& constraints, std::string_view name);

// Which DNS subtree of `ca`'s constraints is no DNS name ("*.corp.example", "corp.example."), in a
// sentence: it holds no name that could be ordered, some verifiers refuse the whole chain for it,
// and what it was meant to exclude is not excluded.
std::optional<std::string> why_constraints_are_no_names(const Certificate& ca);

// Asks OpenSSL about the names that `ca`'s constraints speak of and those right beside them. A
// sentence when it takes one for good that why_outside() refuses, wildcards aside, or the other way
// round: then this CA must not be used.
std::optional<std::string> why_constraints_are_read_differently(const Certificate& ca);

}  // namespace gatehouse::crypto
