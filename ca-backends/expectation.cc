#include "ca-backends/expectation.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/match.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/profile.h"

namespace gatehouse::backends {
namespace {

constexpr std::string_view kCaChooses = "ca_chooses";
constexpr std::string_view kAbsent = "absent";
constexpr std::string_view kKeyEncipherment = "keyEncipherment";
// Every limit here is far above what we write: a profile may allow a thousand names.
constexpr JsonLimits kLimits{.depth = 8, .members = 100'000};
constexpr std::size_t kMaxNames = 100'000;

Json json_of(const std::string& text) {
  return text;
}

Json json_of(const IssuerId& id) {
  return id.str();
}

Json json_of(Instant instant) {
  return to_unix(instant);
}

// A fact is {"exact": …}, {"from": …, "to": …}, {"one_of": […]}, "absent" or "ca_chooses".
template <class T>
Json json_of(const Exact<T>& exact) {
  return {{"exact", json_of(exact.value)}};
}

template <class T>
Json json_of(const Range<T>& range) {
  return {{"from", json_of(range.first)}, {"to", json_of(range.last)}};
}

template <class T>
Json json_of(const OneOf<T>& one_of) {
  Json values = Json::array();
  for (const T& value : one_of.values) values.push_back(json_of(value));
  return {{"one_of", std::move(values)}};
}

Json json_of(Absent /*none*/) {
  return kAbsent;
}

Json json_of(CaChooses /*anything*/) {
  return kCaChooses;
}

template <class... Alternatives>
Json json_of(const std::variant<Alternatives...>& fact) {
  return std::visit([](const auto& alternative) { return json_of(alternative); }, fact);
}

Json json_of(const ExpectedUsages& usages) {
  return {{"required", usages.required}, {"allowed", usages.allowed}};
}

void read(const JsonObject& object, std::string_view name, std::string& value) {
  value = object.string(name);
}

void read(const JsonObject& object, std::string_view name, IssuerId& value) {
  value = IssuerId(object.string(name));
}

void read(const JsonObject& object, std::string_view name, Instant& value) {
  using Limits = std::numeric_limits<std::int64_t>;
  const auto unix = object.optional_integer(name, Limits::min(), Limits::max());
  if (!unix) throw JsonError(object.path_of(name) + ": is missing");
  value = from_unix(*unix);
}

template <class T>
Exact<T> read_as(const JsonObject& object, Exact<T> exact) {
  object.only({"exact"});
  read(object, "exact", exact.value);
  return exact;
}

template <class T>
Range<T> read_as(const JsonObject& object, Range<T> range) {
  object.only({"from", "to"});
  read(object, "from", range.first);
  read(object, "to", range.last);
  return range;
}

template <class T>
OneOf<T> read_as(const JsonObject& object, OneOf<T> one_of) {
  object.only({"one_of"});
  std::vector<std::string> values =
      object.optional_strings("one_of").value_or(std::vector<std::string>());
  for (std::string& value : values) one_of.values.emplace_back(std::move(value));
  return one_of;
}

// The member by which an alternative is told; a word for those that are no objects.
template <class T>
std::string_view key_of(const Exact<T>& /*type*/) {
  return "exact";
}

template <class T>
std::string_view key_of(const Range<T>& /*type*/) {
  return "from";
}

template <class T>
std::string_view key_of(const OneOf<T>& /*type*/) {
  return "one_of";
}

std::string_view key_of(Absent /*type*/) {
  return kAbsent;
}

std::string_view key_of(CaChooses /*type*/) {
  return kCaChooses;
}

template <class Alternative, class Fact>
bool try_read(const JsonObject& whole, std::string_view name, Fact& fact) {
  const Json& json = *whole.find(name);
  if constexpr (std::is_empty_v<Alternative>) {
    if (json != Json(key_of(Alternative()))) return false;
    fact = Alternative();
  } else {
    if (!json.is_object() || !json.contains(key_of(Alternative()))) return false;
    fact = read_as(whole.object(name), Alternative());
  }
  return true;
}

template <class... Alternatives>
void read_fact(const JsonObject& whole, std::string_view name,
               std::variant<Alternatives...>& fact) {
  if (whole.has(name) && (try_read<Alternatives>(whole, name, fact) || ...)) return;
  throw JsonError(whole.path_of(name) + ": is no expectation that this program knows");
}

std::optional<ExpectedUsages> read_usages(const JsonObject& whole, std::string_view name) {
  const auto object = whole.optional_object(name);
  if (!object) return std::nullopt;
  object->only({"required", "allowed"});
  return ExpectedUsages{
      .required = object->optional_strings("required").value_or(std::vector<std::string>()),
      .allowed = object->optional_strings("allowed").value_or(std::vector<std::string>())};
}

Identifier read_name(const std::string& text) {
  for (const IdentifierType type : {IdentifierType::dns, IdentifierType::ip}) {
    const std::string prefix = std::string(to_string(type)) + ":";
    if (text.starts_with(prefix)) return {.type = type, .value = text.substr(prefix.size())};
  }
  throw JsonError("names: holds a name of an unknown type");
}

}  // namespace

std::string print_expectation(const CertificateExpectation& expectation) {
  Json json = {{"spki_sha256", expectation.spki_sha256}, {"names", Json::array()}};
  for (const Identifier& name : expectation.names) {
    json["names"].push_back(std::string(to_string(name.type)) + ":" + name.value);
  }
  if (expectation.subject) json["subject"] = *expectation.subject;
  if (expectation.key_usages) json["key_usages"] = json_of(*expectation.key_usages);
  if (expectation.extended_key_usages) {
    json["extended_key_usages"] = json_of(*expectation.extended_key_usages);
  }
  json["serial"] = json_of(expectation.serial);
  json["not_before"] = json_of(expectation.not_before);
  json["not_after"] = json_of(expectation.not_after);
  if (expectation.longest_validity) {
    json["longest_validity"] = expectation.longest_validity->count();
  }
  json["crl_url"] = json_of(expectation.crl_url);
  json["issuer"] = json_of(expectation.issuer);
  return print_json(json);
}

CertificateExpectation read_expectation(std::string_view text) {
  const Json json = parse_json(text, kLimits);
  const JsonObject whole(json, "expectation");
  whole.only({"spki_sha256", "names", "subject", "key_usages", "extended_key_usages", "serial",
              "not_before", "not_after", "longest_validity", "crl_url", "issuer"});
  CertificateExpectation expectation;
  expectation.spki_sha256 = whole.string("spki_sha256");
  const auto names = whole.optional_strings("names", kMaxNames);
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    expectation.names.push_back(read_name(name));
  }
  expectation.subject = whole.optional_string("subject");
  expectation.key_usages = read_usages(whole, "key_usages");
  expectation.extended_key_usages = read_usages(whole, "extended_key_usages");
  read_fact(whole, "serial", expectation.serial);
  read_fact(whole, "not_before", expectation.not_before);
  read_fact(whole, "not_after", expectation.not_after);
  if (const auto longest =
          whole.optional_integer("longest_validity", 0, std::numeric_limits<std::int64_t>::max())) {
    expectation.longest_validity = std::chrono::seconds(*longest);
  }
  read_fact(whole, "crl_url", expectation.crl_url);
  read_fact(whole, "issuer", expectation.issuer);
  return expectation;
}

std::string serial_of(const CertificateExpectation& expectation) {
  const auto* exact = std::get_if<Exact<std::string>>(&expectation.serial);
  return exact == nullptr ? "" : exact->value;
}

IssuerId issuer_of(const CertificateExpectation& expectation) {
  const auto* exact = std::get_if<Exact<IssuerId>>(&expectation.issuer);
  return exact == nullptr ? IssuerId() : exact->value;
}

std::string crl_url_of(const CertificateExpectation& expectation) {
  const auto* exact = std::get_if<Exact<std::string>>(&expectation.crl_url);
  return exact == nullptr ? "" : exact->value;
}

Instant earliest_begin_of(const CertificateExpectation& expectation) {
  return std::visit(Match{[](const Exact<Instant>& exact) { return exact.value; },
                          [](const Range<Instant>& range) { return range.first; },
                          [](CaChooses) { return Instant(); }},
                    expectation.not_before);
}

Instant latest_end_of(const CertificateExpectation& expectation) {
  return std::visit(Match{[](const Exact<Instant>& exact) { return exact.value; },
                          [](const Range<Instant>& range) { return range.last; },
                          [](CaChooses) { return Instant(); }},
                    expectation.not_after);
}

bool is_allowed(const IssuerId& issuer, const ExpectedIssuer& expected) {
  return std::visit(Match{[&](const Exact<IssuerId>& exact) { return exact.value == issuer; },
                          [&](const OneOf<IssuerId>& one_of) {
                            return std::ranges::find(one_of.values, issuer) != one_of.values.end();
                          },
                          [](CaChooses) { return true; }},
                    expected);
}

CertificateExpectation expectation_of_schema_4(const Schema4Intent& intent,
                                               const Profile* profile) {
  CertificateExpectation expectation{.spki_sha256 = intent.spki_sha256,
                                     .names = intent.names,
                                     .subject = std::nullopt,
                                     .key_usages = std::nullopt,
                                     .extended_key_usages = std::nullopt,
                                     .serial = Exact<std::string>{intent.serial},
                                     .not_before = Exact<Instant>{intent.not_before},
                                     .not_after = Exact<Instant>{intent.not_after},
                                     .crl_url = Exact<std::string>{intent.crl_url},
                                     .issuer = Exact<IssuerId>{intent.issuer}};
  if (intent.serial.empty()) expectation.serial = CaChooses();
  if (intent.crl_url.empty()) expectation.crl_url = Absent();
  if (profile == nullptr) return expectation;
  // A profile asks for keyEncipherment, and certificates for other keys than RSA go without it.
  ExpectedUsages key_usages{.required = profile->key_usages, .allowed = {}};
  if (std::erase(key_usages.required, kKeyEncipherment) > 0) {
    key_usages.allowed.emplace_back(kKeyEncipherment);
  }
  expectation.key_usages = std::move(key_usages);
  expectation.extended_key_usages =
      ExpectedUsages{.required = profile->extended_key_usages, .allowed = {}};
  return expectation;
}

}  // namespace gatehouse::backends
