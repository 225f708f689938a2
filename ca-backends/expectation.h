// CertificateExpectation: what a certificate must be held against, fixed before its CA is asked.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/profile.h"

namespace gatehouse::backends {

// The certificate must say exactly this.
template <class T>
struct Exact {
  T value;

  friend bool operator==(const Exact&, const Exact&) = default;
};

// Any value from `first` to `last`, both included.
template <class T>
struct Range {
  T first, last;

  friend bool operator==(const Range&, const Range&) = default;
};

// Any one of `values`.
template <class T>
struct OneOf {
  std::vector<T> values;

  friend bool operator==(const OneOf&, const OneOf&) = default;
};

// The certificate must not have it.
struct Absent {
  friend bool operator==(const Absent&, const Absent&) = default;
};

// The CA decides, and whatever it says is accepted.
struct CaChooses {
  friend bool operator==(const CaChooses&, const CaChooses&) = default;
};

// Exact stands first: an expectation that a backend forgot to fill in accepts no certificate.
using ExpectedSerial = std::variant<Exact<std::string>, CaChooses>;  // hex
using ExpectedDate = std::variant<Exact<Instant>, Range<Instant>, CaChooses>;
using ExpectedCrlUrl = std::variant<Exact<std::string>, OneOf<std::string>, Absent, CaChooses>;
// CaChooses: any issuer that the backend knows. Whoever it is, the signature is verified.
using ExpectedIssuer = std::variant<Exact<IssuerId>, OneOf<IssuerId>, CaChooses>;

// The certificate has every usage of `required` and none outside `required` and `allowed`.
// Spelled as in profiles: "digitalSignature", "serverAuth", a dotted OID.
struct ExpectedUsages {
  std::vector<std::string> required, allowed;

  friend bool operator==(const ExpectedUsages&, const ExpectedUsages&) = default;
};

// A value, stored with its intent. Key, names, subject and usages are always exact, and a CA
// certificate is never accepted; the CA may have a say in the rest.
struct CertificateExpectation {
  std::string spki_sha256;        // of the key, hex
  std::vector<Identifier> names;  // of the subjectAltName: these and no others, in any order
  // As crypto::Certificate::subject_name has it: "CN=a.test", or empty. Nothing: not compared,
  // except that a common name must be one of `names`; see expectation_of_schema_4().
  std::optional<std::string> subject = "";
  // Nothing: not compared; see expectation_of_schema_4().
  std::optional<ExpectedUsages> key_usages = ExpectedUsages();
  std::optional<ExpectedUsages> extended_key_usages = ExpectedUsages();
  ExpectedSerial serial;
  ExpectedDate not_before, not_after;
  // From notBefore to notAfter, both included; nothing: as long as the dates allow.
  std::optional<std::chrono::seconds> longest_validity = {};
  ExpectedCrlUrl crl_url;
  ExpectedIssuer issuer;

  friend bool operator==(const CertificateExpectation&, const CertificateExpectation&) = default;
};

// One line of JSON, for the store.
std::string print_expectation(const CertificateExpectation& expectation);

// Reads what print_expectation() wrote. Throws JsonError for anything else.
CertificateExpectation read_expectation(std::string_view text);

// The exact serial; empty when the CA chooses it.
std::string serial_of(const CertificateExpectation& expectation);
// The exact issuer; empty when it is not fixed.
IssuerId issuer_of(const CertificateExpectation& expectation);
// The exact CRL URL; empty when there is none or it is not fixed.
std::string crl_url_of(const CertificateExpectation& expectation);
// The earliest notBefore and the latest notAfter; the Unix epoch when the CA chooses.
Instant earliest_begin_of(const CertificateExpectation& expectation);
Instant latest_end_of(const CertificateExpectation& expectation);

// Whether `issuer` may be the one.
bool is_allowed(const IssuerId& issuer, const ExpectedIssuer& expected);

// What the columns of an intent said before it was stored with an expectation (schema 4 and older),
// when the local CA was the only backend.
struct Schema4Intent {
  std::string spki_sha256;
  std::vector<Identifier> names;  // the order's
  IssuerId issuer;
  std::string serial, crl_url;  // empty: the CA's choice; none
  Instant not_before, not_after;
};

// The expectation of such an intent, as strict as the checks of its time were. `profile` is the one
// that the intent was made under; null when it has changed since: usages are not compared then.
CertificateExpectation expectation_of_schema_4(const Schema4Intent& intent, const Profile* profile);

}  // namespace gatehouse::backends
