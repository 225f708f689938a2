// Http01: the client serves the key authorization at a well-known URL (RFC 8555 section 8.3, RFC
// 8738 section 4).
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/http_client.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

class Http01 final : public Validator {
 public:
  using Options = Http01Options;
  // Reads the "http01" object of the config. Throws JsonError naming the field.
  static Options read_options(const JsonObject& json);

  // `egress` outlives this.
  Http01(Options options, net::Egress& egress);

  std::string_view challenge_type() const override { return "http-01"; }

  // Any DNS name or IP address; not a wildcard, whose other names one site says nothing of.
  bool can_validate(const Identifier& identifier) const override {
    return !identifier.is_wildcard();
  }

  ValidationOutcome validate(const ValidationRequest& request, Deadline deadline) override;

 private:
  Options options_;
  net::HttpClient client_;
};

}  // namespace gatehouse::validators
