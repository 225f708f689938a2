// Dns01: the client publishes a digest of the key authorization in DNS (RFC 8555 section 8.4).
#pragma once

#include <string_view>

#include "acme-server/base/json.h"
#include "acme-server/net/egress.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

class Dns01 final : public Validator {
 public:
  using Options = Dns01Options;
  // Reads the "dns01" object of the config. Throws JsonError naming the field.
  static Options read_options(const JsonObject& json);

  // `egress` outlives this.
  Dns01(Options options, net::Egress& egress);

  std::string_view challenge_type() const override { return "dns-01"; }

  // Any DNS name, wildcards too, that leaves room for "_acme-challenge." before it; never an
  // address (RFC 8738 section 7).
  bool can_validate(const Identifier& identifier) const override;

  ValidationOutcome validate(const ValidationRequest& request, Deadline deadline) override;

 private:
  Options options_;
  net::Egress* egress_;
};

}  // namespace gatehouse::validators
