#include "config/profiles.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"
#include "config/fields.h"

namespace gatehouse::config {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxProfiles = 64;
constexpr std::size_t kMaxProfileName = 64;

constexpr std::array<std::string_view, 3> kKeyUsages = {"digitalSignature", "keyEncipherment",
                                                        "keyAgreement"};

void check_words(const JsonObject& object, std::string_view name,
                 const std::vector<std::string>& given,
                 const std::vector<std::string_view>& known) {
  if (given.empty()) refuse(object, name, "is empty");
  for (const std::string& word : given) {
    if (std::ranges::find(known, word) == known.end()) throw_not_a_word(object, name, word, known);
  }
}

// Nothing changes where the field is missing.
void read_key_types(const JsonObject& object, std::string_view name,
                    std::vector<crypto::KeyType>& types) {
  const auto words = object.optional_strings(name);
  if (!words) return;
  std::vector<std::string_view> known;
  for (const crypto::KeyTypeName& type : crypto::kKeyTypes) known.push_back(type.word);
  check_words(object, name, *words, known);
  types.clear();
  for (const std::string& word : *words) types.push_back(crypto::key_type_from(word).value());
}

void check_extended_key_usages(const JsonObject& object, const std::vector<std::string>& usages) {
  for (const std::string& usage : usages) {
    const bool named = usage == "serverAuth" || usage == "clientAuth";
    const bool dotted = usage.find('.') != std::string::npos &&
                        usage.find_first_not_of("0123456789.") == std::string::npos;
    if (!named && !dotted) {
      refuse(object, "extended_key_usages",
             "\"" + usage + "\" is neither serverAuth, clientAuth nor a dotted OID");
    }
  }
}

void read_identifiers(const JsonObject& object, IdentifierPolicy& policy) {
  object.only({"allowed_dns", "denied_dns", "allowed_ip", "denied_ip", "allow_ip",
               "allow_wildcards", "allow_single_label", "public_suffix_rule"});
  read_field(object, "allowed_dns", policy.allowed_dns);
  read_field(object, "denied_dns", policy.denied_dns);
  read_field(object, "allowed_ip", policy.allowed_ip);
  read_field(object, "denied_ip", policy.denied_ip);
  read_field(object, "allow_ip", policy.allow_ip);
  read_field(object, "allow_wildcards", policy.allow_wildcards);
  read_field(object, "allow_single_label", policy.allow_single_label);
  read_field(object, "public_suffix_rule", policy.public_suffix_rule);
  if (const auto why = why_unusable(policy)) throw JsonError(object.path() + ": " + *why);
}

void read_lifetimes(const JsonObject& object, Profile& profile) {
  read_duration(object, "validity", profile.validity, minutes(1), kDay * 3650);
  read_duration(object, "backdate", profile.backdate, seconds(0), hours(48));
  read_duration(object, "minimum_validity", profile.minimum_validity, minutes(1), kDay * 3650);
  read_duration(object, "order_lifetime", profile.order_lifetime, minutes(1), kDay * 90);
  read_duration(object, "pending_authorization_lifetime", profile.pending_authorization_lifetime,
                minutes(1), kDay * 90);
  read_duration(object, "valid_authorization_lifetime", profile.valid_authorization_lifetime,
                minutes(1), kDay * 398);
}

Profile read_profile(const JsonObject& object, const std::string& name) {
  object.only({"description",
               "validity",
               "backdate",
               "minimum_validity",
               "key_usages",
               "extended_key_usages",
               "key_types",
               "common_name",
               "client_dates",
               "challenge_types",
               "order_lifetime",
               "pending_authorization_lifetime",
               "valid_authorization_lifetime",
               "reuse_authorizations",
               "max_identifiers",
               "identifiers",
               "allowed_addresses",
               "denied_addresses",
               "backend",
               "caa"});
  Profile profile;
  profile.name = name;
  read_field(object, "description", profile.description);
  read_lifetimes(object, profile);
  read_field(object, "key_usages", profile.key_usages);
  check_words(object, "key_usages", profile.key_usages, {kKeyUsages.begin(), kKeyUsages.end()});
  read_field(object, "extended_key_usages", profile.extended_key_usages);
  check_extended_key_usages(object, profile.extended_key_usages);
  read_key_types(object, "key_types", profile.key_types);
  read_field(object, "common_name", profile.common_name);
  read_field(object, "client_dates", profile.client_dates);
  read_field(object, "challenge_types", profile.challenge_types);
  if (profile.challenge_types.empty())
    refuse(object, "challenge_types", "is empty: nothing could ever be proven");
  read_field(object, "reuse_authorizations", profile.reuse_authorizations);
  read_number(object, "max_identifiers", profile.max_identifiers, 1, 100);
  if (const auto identifiers = object.optional_object("identifiers"))
    read_identifiers(*identifiers, profile.identifiers);
  read_field(object, "allowed_addresses", profile.allowed_addresses);
  read_field(object, "denied_addresses", profile.denied_addresses);
  read_field(object, "backend", profile.backend);
  read_word<CaaMode>(object, "caa", profile.caa,
                     {{"enforce", CaaMode::enforce}, {"off", CaaMode::off}});
  return profile;
}

bool is_profile_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxProfileName &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string_view::npos;
}

}  // namespace

std::map<std::string, Profile> read_profiles(const JsonObject& object) {
  const JsonObject profiles = object.object("profiles");
  if (profiles.json().empty()) refuse(object, "profiles", "is empty");
  if (profiles.json().size() > kMaxProfiles)
    refuse(object, "profiles", "are more than " + std::to_string(kMaxProfiles));
  std::map<std::string, Profile> read;
  for (const auto& item : profiles.json().items()) {
    if (!is_profile_name(item.key())) {
      refuse(profiles, item.key(), R"(a profile's name is 1..64 letters, digits, "-", "_", ".")");
    }
    read.emplace(item.key(), read_profile(profiles.object(item.key()), item.key()));
  }
  return read;
}

void read_key_policy(const JsonObject& rules, std::string_view name, crypto::KeyPolicy& policy) {
  const auto object = rules.optional_object(name);
  if (!object) return;
  object->only({"types", "rsa_min_bits", "rsa_max_bits"});
  read_key_types(*object, "types", policy.allowed);
  std::ranges::sort(policy.allowed);  // hash_of() counts on one order, whatever the file has
  read_number(*object, "rsa_min_bits", policy.rsa_min_bits, 2048, 8192);
  read_number(*object, "rsa_max_bits", policy.rsa_max_bits, 2048, 8192);
  if (policy.rsa_max_bits < policy.rsa_min_bits)
    refuse(*object, "rsa_max_bits", "is below rsa_min_bits");
}

}  // namespace gatehouse::config
