#include "validators/registry.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/net/egress.h"
#include "validators/dns01.h"
#include "validators/http01.h"
#include "validators/tls_alpn01.h"
#include "validators/validator.h"

namespace gatehouse::validators {

namespace {

struct Kind {
  std::string_view name;  // of its object in the config
  void (*check)(const JsonObject& options);
  std::unique_ptr<Validator> (*make)(const JsonObject& options, net::Egress& egress);
};

template <class V>
constexpr Kind kind(std::string_view name) {
  return {.name = name,
          .check = [](const JsonObject& options) { V::read_options(options); },
          .make = [](const JsonObject& options, net::Egress& egress) -> std::unique_ptr<Validator> {
            return std::make_unique<V>(V::read_options(options), egress);
          }};
}

// One line for each validator.
constexpr Kind kKinds[] = {
    kind<Http01>("http01"),
    kind<Dns01>("dns01"),
    kind<TlsAlpn01>("tls_alpn01"),
};

// Calls `use(kind, options)` for each validator there is, once it is sure that the config names no
// other.
template <class Use>
void for_each_kind(const JsonObject& options, Use use) {
  std::vector<std::string> known;
  for (const Kind& entry : kKinds) known.emplace_back(entry.name);
  for (const auto& member : options.json().items()) {
    if (std::ranges::find(known, member.key()) == known.end()) {
      throw JsonError(options.path_of(member.key()) +
                      ": there is no such validator; there are: " + join(known, ", "));
    }
  }
  const Json nothing = Json::object();
  for (const Kind& entry : kKinds) {
    const auto given = options.optional_object(entry.name);
    use(entry, given ? *given : JsonObject(nothing, options.path_of(entry.name)));
  }
}

}  // namespace

ValidatorSet make_validators(const JsonObject& options, net::Egress& egress) {
  ValidatorSet set;
  for_each_kind(
      options, [&](const Kind& entry, const JsonObject& own) { set.add(entry.make(own, egress)); });
  return set;
}

void check_validator_options(const JsonObject& options) {
  for_each_kind(options, [](const Kind& entry, const JsonObject& own) { entry.check(own); });
}

}  // namespace gatehouse::validators
