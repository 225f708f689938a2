#include "acme-server/app/server/config_checks.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "acme-server/base/entropy.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/socket_dialer.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/store.h"
#include "ca-backends/registry.h"
#include "config/config.h"
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

}  // namespace

void check_profiles(const service::Policy& policy, const validators::ValidatorSet& validators,
                    const Json& backends) {
  for (const auto& [directory_name, directory] : policy.directories) {
    // One directory may have its profiles from the top level; the name says enough there.
    const std::string path =
        policy.directories.size() == 1 ? "" : "directories." + directory_name.str() + ".";
    for (const auto& [name, profile] : directory.profiles) {
      check_profile(profile, path + "profiles." + name, validators, backends);
    }
  }
}

void check_directories(const config::Config& config, store::Store& store) {
  const auto counts = store.read([](store::Tx& tx) { return tx.accounts().count_valid(); });
  for (const auto& [name, accounts] : counts) {
    if (config.policy.find(name) != nullptr) continue;
    throw std::runtime_error(
        std::filesystem::path(config.file).filename().string() + ": directories." + name.str() +
        ": is missing, and the database has " + std::to_string(accounts) +
        (accounts == 1 ? " valid account" : " valid accounts") +
        " in it; put it back, or keep it until all are deactivated (gatehouse account list, "
        "gatehouse account deactivate)");
  }
}

void check_parts(const config::Config& config) {
  try {
    const JsonObject backends(config.backends, "backends");
    for (const auto& item : config.backends.items()) {
      const JsonObject backend = backends.object(item.key());
      backends::check_backend_options(backend);
      check_is_issued(config, backend);
    }
    // Made for what their constructors say; nothing is asked of them.
    OsEntropy entropy;
    net::CaresResolver resolver(config.resolver, entropy);
    net::SocketDialer dialer;
    net::Egress egress(resolver, dialer);
    const auto set =
        validators::make_validators(JsonObject(config.validators, "validators"), egress);
    check_profiles(config.policy, set, config.backends);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::filesystem::path(config.file).filename().string() + ": " +
                             error.what());
  }
}

}  // namespace gatehouse::app
