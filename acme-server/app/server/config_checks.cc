#include "acme-server/app/server/config_checks.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/app/server/dry_run.h"
#include "acme-server/app/signer/signer_process.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/socket_dialer.h"
#include "acme-server/service/certificates/unpublished_crls.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/certificates.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "ca-backends/registry.h"
#include "config/config.h"
#include "config/faults.h"
#include "validators/registry.h"
#include "validators/validator.h"

namespace gatehouse::app {

namespace {

// A request lies where its certificate is to be.
void check_is_issued(const config::Config& config, const JsonObject& backend) {
  namespace fs = std::filesystem;
  const auto certificate = backend.optional_string("certificate");
  if (!certificate) return;
  const fs::path file = (fs::path(config.folder) / *certificate).lexically_normal();
  const fs::path request = fs::path(file).replace_extension(".csr");
  std::error_code error;
  if (fs::exists(file, error) || !fs::exists(request, error)) return;
  throw std::runtime_error(
      backend.path_of("certificate") + ": " + file.string() +
      " is not there: waiting for the issuer's certificate; have " + request.string() +
      " signed by your CA, then run gatehouse init --import FILE… --directory " + config.folder);
}

}  // namespace

namespace {

void check_profile(const Profile& profile, const std::string& path,
                   const validators::ValidatorSet& validators, const Json& backends) {
  for (const std::string& type : profile.challenge_types) {
    if (validators.find(type) != nullptr) continue;
    std::vector<std::string> known;
    for (const auto& validator : validators.all()) known.emplace_back(validator->challenge_type());
    throw JsonError(path + ".challenge_types: there is no validator for \"" + sanitize(type, 40) +
                    "\"; there are: " + join(known, ", "));
  }
  if (!backends.contains(profile.backend)) {
    throw JsonError(path + ".backend: \"" + sanitize(profile.backend, 40) +
                    "\" is not among backends");
  }
}

// Calls `visit(profile, path)` for each.
template <class Visit>
void for_each_profile(const service::Policy& policy, Visit visit) {
  for (const auto& [directory_name, directory] : policy.directories) {
    // One directory may have its profiles from the top level; the name says enough there.
    const std::string path =
        policy.directories.size() == 1 ? "" : "directories." + directory_name.str() + ".";
    for (const auto& [name, profile] : directory.profiles)
      visit(profile, path + "profiles." + name);
  }
}

}  // namespace

void check_profiles(const service::Policy& policy, const validators::ValidatorSet& validators,
                    const Json& backends) {
  for_each_profile(policy, [&](const Profile& profile, const std::string& path) {
    check_profile(profile, path, validators, backends);
  });
}

void check_directories(const config::Config& config, store::Store& store) {
  const auto counts = store.read([](store::Tx& tx) { return tx.accounts().count_valid(); });
  for (const auto& [name, accounts] : counts) {
    if (config.policy.find(name) != nullptr) continue;
    throw config::ConfigError(
        config,
        "directories." + name.str() + ": is missing, and the database has " +
            std::to_string(accounts) + (accounts == 1 ? " valid account" : " valid accounts") +
            " in it; put it back, or keep it until all are deactivated (gatehouse account list, "
            "gatehouse account deactivate)");
  }
}

std::vector<std::string> check_crls(const config::Config& config,
                                    const std::vector<store::CrlInUse>& in_use,
                                    const service::PublishedCrls& published) {
  const service::UnpublishedCrls unpublished = service::unpublished_among(in_use, published);
  std::map<std::string, Instant> missing;  // backend -> when its last certificate ends
  for (const store::CrlInUse& crl : unpublished.of_missing_backends) {
    if (std::ranges::find(config.retired_backends, crl.backend) != config.retired_backends.end()) {
      continue;
    }
    Instant& end = missing[crl.backend];
    end = std::max(end, crl.last_end);
  }
  if (!missing.empty()) {
    const auto& [name, end] = *missing.begin();
    throw config::ConfigError(
        config, "backends." + name +
                    ": is missing, and the database has certificates of it that are valid until " +
                    to_rfc3339(end) +
                    ": their revocations would reach nobody. Put it back, or add \"retired\": true "
                    "to it to "
                    "say "
                    "that this is so");
  }
  std::vector<std::string> warnings;
  for (const store::CrlInUse& crl : unpublished.of_present_backends) {
    const bool moved =
        std::ranges::any_of(published.made_here, [&](const backends::CrlShard& shard) {
          return shard.issuer == crl.issuer && crl.url.ends_with(shard.file);
        });
    if (moved) {
      throw config::ConfigError(config, "public_url: certificates that are valid until " +
                                            to_rfc3339(crl.last_end) + " point to the CRL " +
                                            crl.url +
                                            "; put it back, they are looked for there for good");
    }
    warnings.push_back(service::explain_unpublished(crl));
  }
  return warnings;
}

std::vector<std::string> check_database(const config::Config& config, Clock& clock) {
  std::vector<store::CrlInUse> in_use;
  try {
    const std::unique_ptr<sql::Connection> database = sql::look_at(config.store.database);
    if (database == nullptr) return {};
    in_use = store::Certificates(*database).crls_in_use(clock.now());
  } catch (const sql::DatabaseError& error) {
    return {"the database was not looked at: " + std::string(error.what())};
  }
  OsEntropy entropy;
  Log log({.sink = [](LogLevel, std::string_view) {}});
  const backends::BackendContext context = key_context(config, clock, entropy, log);
  const JsonObject all(config.backends, "backends");
  service::PublishedCrls published;
  for (const auto& item : config.backends.items()) {
    published.backends.push_back(item.key());
    for (backends::CrlShard& shard : backends::crls_of_backend(all.object(item.key()), context)) {
      published.made_here.push_back(std::move(shard));
    }
  }
  return check_crls(config, in_use, published);
}

namespace {

// Puts what `faults` tells behind `all`.
void append(std::vector<std::string>& all, std::vector<std::string> faults) {
  std::ranges::move(faults, std::back_inserter(all));
}

std::vector<std::string> faults_of_backend(const config::Config& config, const std::string& name,
                                           const Json& options) {
  const Json document = {{"backends", {{name, options}}}};
  return config::collect_faults(document,
                                [&](const Json& rest) {
                                  const JsonObject backend =
                                      JsonObject(rest).object("backends").object(name);
                                  backends::check_backend_options(backend);
                                  check_is_issued(config, backend);
                                })
      .messages;
}

}  // namespace

std::vector<std::string> faults_of_parts(const config::Config& config) {
  std::vector<std::string> faults;
  for (const auto& item : config.backends.items()) {
    append(faults, faults_of_backend(config, item.key(), item.value()));
  }
  // Made for what their constructors say; nothing is asked of them.
  OsEntropy entropy;
  net::CaresResolver resolver(config.resolver, entropy);
  net::SocketDialer dialer;
  net::Egress egress(resolver, dialer);
  validators::ValidatorSet set;
  const Json document = {{"validators", config.validators}};
  const config::CollectedFaults options = config::collect_faults(document, [&](const Json& rest) {
    set = validators::make_validators(JsonObject(rest).object("validators"), egress);
  });
  append(faults, options.messages);
  if (!options.readable) return faults;  // which validators there are is not known
  for_each_profile(config.policy, [&](const Profile& profile, const std::string& path) {
    try {
      check_profile(profile, path, set, config.backends);
    } catch (const JsonError& error) {
      faults.emplace_back(error.what());
    }
  });
  return faults;
}

void check_parts(const config::Config& config) {
  require_none(config, faults_of_parts(config));
}

}  // namespace gatehouse::app
