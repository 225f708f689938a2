#include "acme-server/app/server/dry_run.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/server/secret_source.h"
#include "acme-server/app/signer/signer_process.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/duration.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/url.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/service/policy_options.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "ca-backends/validity.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

// Stands for a client's key, or the listener's: no profile's certificate is the worse for its kind.
Bytes throwaway_key() {
  return crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())
      ->public_key();
}

// Why a certificate of `profile` could not be used; with `identifiers`, or else one that the CA may
// certify.
std::optional<std::string> why_useless(const backends::Backend& backend, const Profile& profile,
                                       const std::vector<Identifier>& identifiers, const Bytes& key,
                                       Instant now) {
  try {
    return backend.certificates->why_not_accepted({.order = OrderId("dry-run"),
                                                   .identifiers = identifiers,
                                                   .csr_der = {},
                                                   .spki = key,
                                                   .profile = profile,
                                                   .not_before = std::nullopt,
                                                   .not_after = std::nullopt,
                                                   .now = now});
  } catch (const RequestRejected& rejected) {
    // A CA that ends soon is no mistake in the config: who has certificates of it needs its CRLs.
    if (rejected.problem().type == ProblemType::serverInternal) return std::nullopt;
    return rejected.problem().detail;
  }
}

// "profiles.default", and the directory where it matters.
std::string path_of(const service::Policy& policy, const DirectoryId& directory,
                    const std::string& profile) {
  const std::string path = "profiles." + profile;
  return policy.directories.size() == 1 ? path : "directories." + directory.str() + "." + path;
}

void try_profiles(const config::Config& config, const backends::BackendSet& backends,
                  const Bytes& key, Instant now, std::vector<std::string>& problems) {
  for (const auto& [directory_name, directory] : config.policy.directories) {
    for (const auto& [name, profile] : directory.profiles) {
      const backends::Backend* backend = backends.find(profile.backend);
      if (backend == nullptr) continue;
      if (const auto why = why_useless(*backend, profile, {}, key, now)) {
        problems.push_back(path_of(config.policy, directory_name, name) +
                           ": its certificates would be of no use: " + *why);
      }
    }
  }
}

void try_own_certificate(const config::Config& config, const backends::BackendSet& backends,
                         const Bytes& key, Instant now, std::vector<std::string>& problems) {
  if (!wants_own_certificate(config)) return;
  const service::Directory* directory =
      config.policy.find(DirectoryId(config.web.default_directory));
  const Profile* profile = directory == nullptr ? nullptr : directory->profile("");
  const backends::Backend* backend = profile == nullptr ? nullptr : backends.find(profile->backend);
  if (backend == nullptr) return;
  std::vector<Identifier> identifiers;
  try {
    identifiers = own_identifiers(config);
  } catch (const JsonError& error) {
    problems.emplace_back(error.what());
    return;
  }
  if (const auto why = why_useless(*backend, *profile, identifiers, key, now)) {
    problems.push_back(
        "base_url, allowed_hosts: the server's own certificate would be of no use: " + *why +
        " Choose a host that the CA may certify, have the CA certified for this one "
        "(gatehouse init --permit-dns), or give the listener a certificate of another CA "
        "(listeners.acme[0].tls)");
  }
}

// As if another process had the keys, which are not needed here: it also works for a user who may
// not read them.
Json without_keys(const Json& options) {
  Json changed = options;
  if (changed.value("type", "") == "local" && !changed.contains("signer")) {
    changed["signer"] = {{"socket", "not-asked"}};
  }
  return changed;
}

// Calls `visit` with the config's backends, made without their keys.
template <class Visit>
std::vector<std::string> with_backends(const config::Config& config, Clock& clock, Entropy& entropy,
                                       Visit visit) {
  Log log;
  const backends::BackendContext context = key_context(config, clock, entropy, log);
  backends::BackendSet set;
  for (const auto& item : config.backends.items()) {
    if (lacks_credentials(item.value())) continue;
    const Json options = without_keys(item.value());
    set.add(
        backends::make_backend(item.key(), JsonObject(options, "backends." + item.key()), context));
  }
  return visit(set);
}

// In whole days, or in smaller units where it is less than one.
std::string print_left(std::chrono::seconds left) {
  using std::chrono::days;
  using std::chrono::minutes;
  if (left >= days(1)) return print_duration(std::chrono::floor<days>(left));
  return print_duration(left >= minutes(1) ? std::chrono::floor<minutes>(left) : left);
}

// Why certificates of `profile` are shorter than it says, or not issued.
std::optional<std::string> why_shortened(const backends::BackendSet& backends,
                                         const Profile& profile, Instant now) {
  const backends::Backend* backend = backends.find(profile.backend);
  if (backend == nullptr) return std::nullopt;
  const backends::IssuersSnapshot issuers = backend->certificates->issuers();
  if (issuers->in_use() == nullptr) return std::nullopt;
  const backends::ChainLifetime chain = backends::lifetime_of(*issuers->in_use());
  const auto left = std::chrono::floor<std::chrono::seconds>(chain.not_after - now);
  if (left >= profile.validity) return std::nullopt;
  const std::string end = backends::describe(chain) + " ends at " + to_rfc3339(chain.not_after);
  const std::string remedy = backends::remedy_for(chain.ends_first);
  if (left < backends::minimum_validity_of(profile)) {
    return end + ": nothing is issued any more; renew it (" + remedy + ")";
  }
  const std::string limit = print_left(left);
  return print_duration(profile.validity) + " is longer than what is left of the CA: " + end +
         ", " + limit + " from now, and certificates are cut to that; set validity to at most " +
         limit + ", or renew the CA (" + remedy + ")";
}

}  // namespace

bool wants_own_certificate(const config::Config& config) {
  bool wanted = false;
  config::for_each_listener(config, [&](const config::ListenerConfig& listener, auto) {
    wanted |= listener.certificate == config::CertificateSource::own;
  });
  return wanted;
}

std::vector<Identifier> own_identifiers(const config::Config& config) {
  std::vector<std::pair<std::string, std::string>> hosts = {
      {"base_url", parse_url(config.web.base_url).value().host}};
  for (const std::string& allowed : config.web.allowed_hosts) {
    if (const auto url = parse_url("https://" + allowed)) {
      hosts.emplace_back("allowed_hosts", url->host);
    }
  }
  std::vector<Identifier> identifiers;
  for (const auto& [option, host] : hosts) {
    const auto identifier = IpAddress::parse(host) ? ip_identifier(host) : dns_identifier(host);
    if (!identifier) {
      throw JsonError(
          option + ": the server's own certificate cannot name it: " + identifier.error().detail);
    }
    if (std::ranges::find(identifiers, *identifier) == identifiers.end()) {
      identifiers.push_back(*identifier);
    }
  }
  return identifiers;
}

std::vector<std::string> dry_run(const config::Config& config, const backends::BackendSet& backends,
                                 Instant now) {
  std::vector<std::string> problems;
  const Bytes key = throwaway_key();
  try_own_certificate(config, backends, key, now, problems);
  try_profiles(config, backends, key, now, problems);
  return problems;
}

std::vector<std::string> dry_run(const config::Config& config, Clock& clock, Entropy& entropy) {
  return with_backends(config, clock, entropy, [&](const backends::BackendSet& backends) {
    return dry_run(config, backends, clock.now());
  });
}

std::vector<std::string> validity_warnings(const config::Config& config, Clock& clock,
                                           Entropy& entropy) {
  return with_backends(config, clock, entropy, [&](const backends::BackendSet& backends) {
    std::vector<std::string> warnings;
    for (const auto& [directory_name, directory] : config.policy.directories) {
      for (const auto& [name, profile] : directory.profiles) {
        const std::string option = path_of(config.policy, directory_name, name) + ".validity";
        if (const auto why = why_shortened(backends, profile, clock.now())) {
          warnings.push_back(option + ": " + *why);
        }
      }
    }
    return warnings;
  });
}

void require_none(const config::Config& config, const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  const std::string more = problems.size() == 1 ? ""
                                                : " (and " + std::to_string(problems.size() - 1) +
                                                      " more: gatehouse check-config)";
  throw config::ConfigError(config, problems.front() + more);
}

void require_usable_certificates(const config::Config& config, const backends::BackendSet& backends,
                                 Instant now) {
  require_none(config, dry_run(config, backends, now));
}

}  // namespace gatehouse::app
