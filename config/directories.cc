#include "config/directories.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/service/policy_options.h"
#include "config/fields.h"
#include "config/profiles.h"

namespace gatehouse::config {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxDirectories = 64;
constexpr std::size_t kMaxDirectoryName = 64;  // of what stands between slashes in a URL

// RFC 2397: terms that are a sentence need no server. What is in it is for whoever opens it.
bool is_data_url(std::string_view text) {
  return text.starts_with("data:") && text.find(',') != std::string_view::npos &&
         std::ranges::all_of(text, is_visible);
}

void read_urls(const JsonObject& rules, service::Directory& directory) {
  read_field(rules, "terms_of_service", directory.terms_of_service);
  if (!directory.terms_of_service.empty() && !parse_url(directory.terms_of_service) &&
      !is_data_url(directory.terms_of_service)) {
    refuse(rules, "terms_of_service", "is not an http, https or data URL");
  }
  read_field(rules, "website", directory.website);
  if (!directory.website.empty() && !parse_url(directory.website))
    refuse(rules, "website", "is not an http or https URL");
  read_field(rules, "previous_account_urls", directory.previous_account_urls);
  for (const std::string& prefix : directory.previous_account_urls) {
    const auto url = parse_url(prefix);
    if (!url || !url->query.empty() || !prefix.ends_with("/")) {
      refuse(rules, "previous_account_urls",
             "\"" + sanitize(prefix, 120) +
                 "\" is not of the form https://old.example/acme/default/account/");
    }
  }
}

void read_caa_identities(const JsonObject& rules, std::vector<std::string>& names) {
  read_field(rules, "caa_identities", names);
  for (std::string& name : names) {
    name = to_lower(name);
    const auto url = parse_url("https://" + name);
    if (!url || url->host != name || IpAddress::parse(name)) {
      refuse(rules, "caa_identities",
             "\"" + sanitize(name, 80) + "\" is not a DNS name, such as ca.example");
    }
  }
}

void read_validation(const JsonObject& rules, service::Directory& directory) {
  const auto validation = rules.optional_object("validation");
  if (!validation) return;
  validation->only({"attempts", "gap", "answered_attempts", "answered_gap", "timeout",
                    "max_running_per_account"});
  read_number(*validation, "attempts", directory.validation_attempts, 1, 20);
  read_duration(*validation, "gap", directory.validation_gap, seconds(1), hours(1));
  read_number(*validation, "answered_attempts", directory.validation_answered_attempts, 1, 20);
  read_duration(*validation, "answered_gap", directory.validation_answered_gap, seconds(1),
                hours(1));
  read_duration(*validation, "timeout", directory.validation_timeout, seconds(1), seconds(50));
  read_number(*validation, "max_running_per_account", directory.max_validations_running, 1,
              100'000);
}

void check_default_profile(const JsonObject& rules, const service::Directory& directory) {
  if (directory.profile("") == nullptr) {
    refuse(rules, "default_profile", "\"" + directory.default_profile + "\" is not among profiles");
  }
}

// What `rules` says, over what `directory` says already. The root object and each of its
// "directories" may say all of it; which other fields are known is the caller's to check.
void read_rules(const JsonObject& rules, service::Directory& directory) {
  if (rules.has("profiles")) {
    directory.profiles = read_profiles(rules);
    if (directory.profiles.size() == 1)
      directory.default_profile = directory.profiles.begin()->first;
  }
  read_field(rules, "default_profile", directory.default_profile);
  read_key_policy(rules, "account_keys", directory.account_keys);
  read_key_policy(rules, "certificate_keys", directory.certificate_keys);
  read_validation(rules, directory);
  read_urls(rules, directory);
  read_caa_identities(rules, directory.caa_identities);
  if (const auto limits = rules.optional_object("limits")) {
    read_number(*limits, "contacts", directory.max_contacts, 0, 100);
    read_number(*limits, "pending_orders_per_account", directory.max_orders_pending, 1, 1'000'000);
    read_number(*limits, "pending_names_per_account", directory.max_names_pending, 1, 1'000'000);
    read_number(*limits, "account_changes_per_hour", directory.max_account_changes, 1, 1'000'000);
    read_number(*limits, "new_accounts_per_hour", directory.max_new_accounts, 1, 1'000'000);
  }
}

service::Directory read_directory(const JsonObject& object, const std::string& name,
                                  service::Directory directory) {
  object.only({"profiles", "default_profile", "account_keys", "certificate_keys", "validation",
               "terms_of_service", "website", "caa_identities", "previous_account_urls", "limits"});
  if (const auto limits = object.optional_object("limits"))
    limits->only({"contacts", "pending_orders_per_account", "pending_names_per_account",
                  "account_changes_per_hour", "new_accounts_per_hour"});
  directory.name = DirectoryId(name);
  read_rules(object, directory);
  check_default_profile(object, directory);
  return directory;
}

bool is_directory_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxDirectoryName &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
             std::string_view::npos;
}

// `rules` is the object that has said the profiles, or would have.
void check_backends(const JsonObject& root, const JsonObject& rules,
                    const std::map<std::string, Profile>& profiles) {
  const auto backends = root.optional_object("backends");
  for (const auto& [name, profile] : profiles) {
    const bool known = backends ? backends->has(profile.backend) : profile.backend == "local";
    if (!known) {
      throw JsonError(rules.path_of("profiles") + "." + name + ".backend: \"" +
                      sanitize(profile.backend, 40) + "\" is not among backends");
    }
    if (backends && backends->object(profile.backend).optional_bool("retired").value_or(false)) {
      throw JsonError(rules.path_of("profiles") + "." + name + ".backend: \"" +
                      sanitize(profile.backend, 40) +
                      "\" is retired and issues nothing; name another, or take \"retired\" out of "
                      "the backend");
    }
  }
}

// A URL is an account of one directory. What the top level says of them, which every directory
// takes over, is meant for the default one.
void check_previous_urls(const JsonObject& objects,
                         const std::map<DirectoryId, service::Directory>& directories) {
  std::map<std::string, std::string> said_by;
  for (const auto& [name, directory] : directories) {
    const JsonObject object = objects.object(name.str());
    if (!object.has("previous_account_urls")) continue;
    for (const std::string& prefix : directory.previous_account_urls) {
      const auto [other, first] = said_by.emplace(prefix, name.str());
      if (first || other->second == name.str()) continue;
      refuse(object, "previous_account_urls",
             "\"" + sanitize(prefix, 120) + "\" is said of directory \"" + other->second +
                 "\" too; each begins the URLs of one directory's accounts");
    }
  }
}

std::map<DirectoryId, service::Directory> read_directories(const JsonObject& root,
                                                           const service::Directory& top) {
  const JsonObject objects = root.object("directories");
  if (objects.json().empty()) refuse(root, "directories", "is empty");
  if (objects.json().size() > kMaxDirectories)
    refuse(root, "directories", "are more than " + std::to_string(kMaxDirectories));
  std::map<DirectoryId, service::Directory> read;
  for (const auto& item : objects.json().items()) {
    if (!is_directory_name(item.key())) {
      refuse(objects, item.key(), R"(a directory's name is 1..64 letters, digits, "-", "_")");
    }
    const JsonObject object = objects.object(item.key());
    service::Directory directory = read_directory(object, item.key(), top);
    check_backends(root, object.has("profiles") ? object : root, directory.profiles);
    read.emplace(directory.name, std::move(directory));
  }
  check_previous_urls(objects, read);
  return read;
}

void read_answer_wait(const JsonObject& root, service::AnswerWait& wait) {
  const auto object = root.optional_object("answer_wait");
  if (!object) return;
  object->only({"challenge", "finalize"});
  // Clients give up on an answer after half a minute or so, and have more than one to wait for.
  constexpr seconds kLongest{10};
  read_duration(*object, "challenge", wait.challenge, seconds(0), kLongest);
  read_duration(*object, "finalize", wait.finalize, seconds(0), kLongest);
}

void read_crl(const JsonObject& root, service::ServerRules& rules) {
  const auto crl = root.optional_object("crl");
  if (!crl) return;
  crl->only({"lifetime", "interval"});
  read_duration(*crl, "lifetime", rules.crl_lifetime, minutes(10), kDay * 90);
  read_duration(*crl, "interval", rules.crl_interval, minutes(1), kDay * 90);
  if (rules.crl_interval >= rules.crl_lifetime)
    refuse(*crl, "interval", "is not shorter than lifetime");
}

}  // namespace

service::Policy read_policy(const JsonObject& root, const std::string& base_url) {
  service::Policy policy;
  read_crl(root, policy.server);
  read_answer_wait(root, policy.server.answer_wait);
  service::Directory top;
  const std::string host = parse_url(base_url).value().host;
  if (!IpAddress::parse(host)) top.caa_identities = {host};  // CAA records name no address
  read_rules(root, top);
  const bool has_directories = root.has("directories");
  if (root.has("profiles") || !has_directories) {
    check_default_profile(root, top);
    check_backends(root, root, top.profiles);
  }
  policy.directories = has_directories ? read_directories(root, top)
                                       : std::map<DirectoryId, service::Directory>{{top.name, top}};
  return policy;
}

std::string read_default_directory(const JsonObject& root, const service::Policy& policy) {
  std::string name = service::Directory().name.str();
  if (policy.directories.size() == 1) name = policy.directories.begin()->first.str();
  read_field(root, "default_directory", name);
  if (policy.find(DirectoryId(name)) == nullptr) {
    refuse(root, "default_directory",
           "\"" + sanitize(name, 64) +
               "\" is not among directories; name the one that /directory is to be");
  }
  return name;
}

}  // namespace gatehouse::config
