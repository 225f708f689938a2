// TlsAlpn01: the client answers a TLS handshake with a certificate made for the challenge (RFC
// 8737, RFC 8738 section 6).
#pragma once

#include <string_view>

#include "acme-server/base/json.h"
#include "acme-server/net/egress.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

class TlsAlpn01 final : public Validator {
 public:
  using Options = TlsAlpn01Options;
  // Reads the "tls_alpn01" object of the config. Throws JsonError naming the field.
  static Options read_options(const JsonObject& json);

  // `egress` outlives this.
  TlsAlpn01(Options options, net::Egress& egress);

  std::string_view challenge_type() const override { return "tls-alpn-01"; }

  // Any DNS name or IP address; not a wildcard (RFC 8737 section 3: the certificate has the name
  // itself).
  bool can_validate(const Identifier& identifier) const override {
    return !identifier.is_wildcard();
  }

  ValidationOutcome validate(const ValidationRequest& request, Deadline deadline) override;

 private:
  Options options_;
  net::Egress* egress_;
};

// The name that asks for an address in SNI: "1.2.0.192.in-addr.arpa" (RFC 8738 section 6, RFC 1035
// section 3.5, RFC 3596 section 2.5).
std::string reverse_name_of(const IpAddress& address);

}  // namespace gatehouse::validators
