#include "acme-server/app/ca_setup/issuer_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/server/dry_run.h"
#include "acme-server/app/server/secret_source.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/name_constraints.h"
#include "acme-server/crypto/path.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/backend.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

namespace fs = std::filesystem;
using crypto::Certificate;

[[noreturn]] void fail(const std::string& sentence) {
  throw std::runtime_error(sentence);
}

std::string quoted(const Certificate& certificate) {
  return "\"" + certificate.subject_name + "\"";
}

std::string find_local(const config::Config& config, const std::string& wanted) {
  std::vector<std::string> local;
  for (const auto& item : config.backends.items()) {
    const Json& type = item.value().is_object() ? item.value().value("type", Json()) : Json();
    if (type == "local") local.push_back(item.key());
  }
  const std::string file = config.file;
  if (local.empty()) fail(file + ": has no backend of type \"local\", which is what holds issuers");
  if (wanted.empty() && local.size() == 1) return local.front();
  if (std::ranges::find(local, wanted) != local.end()) return wanted;
  fail(file + ": name one of its local backends with --backend: " + join(local, ", "));
}

std::vector<Certificate> read_bag(const std::string& file) {
  const std::string content = read_file(file, crypto::kMaxBagBytes);
  auto bag = crypto::read_certificate_bag(as_bytes(content));
  if (!bag) fail(file + ": " + bag.error());
  return std::move(bag->certificates);
}

// Of several certificates for one key the one that is good for longest: a bag may hold old ones.
const Certificate& find_for_key(const std::vector<Certificate>& all, ByteView key,
                                const Offered& offered, const std::string& request) {
  const auto wanted = crypto::jwk_of_spki(key);
  const Certificate* found = nullptr;
  for (const Certificate& each : all) {
    if (crypto::jwk_of_spki(each.spki) != wanted) continue;
    if (found == nullptr || found->not_after < each.not_after) found = &each;
  }
  if (found == nullptr) {
    fail(join(offered.files, ", ") + ": none of the " + std::to_string(all.size()) +
         " certificates is for the key that waits for one; have " + request + " signed");
  }
  return *found;
}

void check_issuer(const Certificate& issuer, Instant now) {
  if (!issuer.is_ca) {
    fail(
        quoted(issuer) +
        " is no CA certificate; have the request signed as a subordinate CA (in AD CS the template "
        "SubCA, in EJBCA a profile of type Sub CA)");
  }
  if (!issuer.key_cert_sign || !issuer.crl_sign) {
    fail(
        quoted(issuer) +
        " may not sign certificates and CRLs; its keyUsage must have keyCertSign and cRLSign: have "
        "the request signed with a profile for subordinate CAs");
  }
  if (crypto::is_self_issued(issuer)) {
    fail(quoted(issuer) + " has the name of its own issuer; have the request signed under another");
  }
  if (now < issuer.not_before || now > issuer.not_after) {
    fail(quoted(issuer) + " is valid from " + to_rfc3339(issuer.not_before) + " to " +
         to_rfc3339(issuer.not_after) + ", and it is " + to_rfc3339(now) +
         "; have the request signed anew");
  }
}

// After the way up has been found: what it lets through.
void check_path(const crypto::Path& path, Instant now) {
  auto problem = crypto::why_chain_fails(path.chain, path.root, now);
  for (std::size_t below = 1; !problem && below < path.chain.size(); ++below) {
    const Certificate& ca = path.chain[below];
    if (ca.path_length && std::cmp_less(*ca.path_length, below)) {
      problem = "the path length of " + quoted(ca) + " leaves no room for the CAs below it";
    }
  }
  if (!problem) problem = crypto::why_openssl_refuses(path.chain, path.root, now);
  if (problem) fail("the chain cannot be used: " + *problem + "; have your CA correct that");
  std::vector<Certificate> every = path.chain;
  every.push_back(path.root);
  for (const Certificate& ca : every) {
    for (const auto& why_not :
         {crypto::why_constraints_are_no_names, crypto::why_constraints_are_read_differently}) {
      if (const auto why = why_not(ca)) fail(quoted(ca) + " cannot be used: " + *why);
    }
  }
}

}  // namespace

LocalBackend::LocalBackend(const std::string& config_file, const std::string& name)
    : config_(config::load_config(config_file, {})), name_(find_local(config_, name)) {
  const JsonObject all(config_.backends, "backends");
  options_ = backends::read_local_ca_options(all.object(name_));
}

std::string LocalBackend::absolute(const std::string& path) const {
  return (fs::path(config_.folder) / path).lexically_normal().string();
}

std::vector<Certificate> LocalBackend::chain(const std::string& path) const {
  return read_bag(absolute(path));
}

std::unique_ptr<crypto::Signer> LocalBackend::key(const backends::IssuerFiles& files) const {
  const std::string path = absolute(files.key);
  if (const auto problem = key_file_problem(path)) fail(*problem);
  try {
    return crypto::load_signer(Secret(read_file(path)), passphrase(files.passphrase));
  } catch (const std::runtime_error& error) {
    fail(path + ": " + error.what());
  }
}

Secret LocalBackend::passphrase(const std::string& reference) const {
  return reference.empty() ? Secret() : read_secret(reference, config_.folder);
}

std::string LocalBackend::config_text() const {
  return read_file(config_.file);
}

void LocalBackend::check(const std::string& text,
                         const std::map<std::string, std::string>& unwritten, Clock& clock,
                         Entropy& entropy) const {
  const config::Config config = config::parse_config(text, config_.file, {});
  Log log;
  const auto read = [&](const std::string& path) {
    const auto found = unwritten.find(absolute(path));
    return found == unwritten.end() ? read_file(absolute(path)) : found->second;
  };
  const JsonObject all(config.backends, "backends");
  backends::BackendSet set;
  set.add(backends::make_backend(
      name_, all.object(name_),
      {.clock = clock,
       .entropy = entropy,
       .log = log,
       .public_url = config.public_url,
       .read_file = read,
       .read_key_file = read,
       .resolve_secret = [&](const std::string& reference) { return passphrase(reference); },
       .decorate_signer = [](auto signer) { return signer; }}));
  require_usable_certificates(config, set, clock.now());
}

void LocalBackend::write_config(const std::string& text) const {
  struct stat found = {};
  const bool closed = ::stat(config_.file.c_str(), &found) == 0 && (found.st_mode & 044) == 0;
  write_file(config_.file, text, closed ? FileAccess::owner_only : FileAccess::everyone_reads,
             ExistingFile::replace);
}

crypto::Path read_issued(const Offered& offered, ByteView key, const std::string& request,
                         Instant now) {
  std::vector<Certificate> all;
  for (const std::string& file : offered.files) {
    for (Certificate& each : read_bag(file)) all.push_back(std::move(each));
  }
  std::optional<Certificate> root;
  if (offered.root) {
    const auto read = read_bag(*offered.root);
    if (read.size() != 1) {
      fail(*offered.root + ": holds " + std::to_string(read.size()) +
           " certificates; the root alone belongs there");
    }
    root = read.front();
  }
  const Certificate& issuer = find_for_key(all, key, offered, request);
  check_issuer(issuer, now);
  auto path = crypto::build_path(issuer, all, root, now);
  if (!path) {
    fail("no way leads from " + quoted(issuer) + " to a root: " + path.error() +
         "; give the missing certificates too, each its file, and name the root with --root");
  }
  check_path(*path, now);
  return std::move(*path);
}

bool is_among(const Offered& offered, const Certificate& certificate) {
  return std::ranges::any_of(offered.files, [&](const std::string& file) {
    const std::vector<Certificate> all = read_bag(file);
    return std::ranges::find(all, certificate.der, &Certificate::der) != all.end();
  });
}

std::string pem_of(const std::vector<Certificate>& chain) {
  std::string pem;
  for (const Certificate& certificate : chain) pem += crypto::to_pem(certificate.der);
  return pem;
}

std::string fingerprint_of(const Certificate& certificate) {
  const std::string hex = crypto::sha256_hex(certificate.der);
  std::string fingerprint;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i > 0 && i % 2 == 0) fingerprint += ':';
    fingerprint += hex[i] >= 'a' ? static_cast<char>(hex[i] - 'a' + 'A') : hex[i];
  }
  return fingerprint;
}

crypto::CertificateTemplate template_like(const Certificate& issuer) {
  crypto::CertificateTemplate ca;
  ca.subject_name_der = issuer.subject_name_der;
  ca.spki = issuer.spki;
  ca.is_ca = true;
  ca.path_length = 0;
  ca.key_usages = {"keyCertSign", "cRLSign"};
  const auto constraints = crypto::read_name_constraints(issuer).value();
  ca.permitted_dns = constraints.permitted_dns;
  for (const IpPrefix& prefix : constraints.permitted_ip) {
    ca.permitted_ip.push_back(prefix.to_string());
  }
  return ca;
}

Secret sealed(const Secret& key, const Secret& passphrase) {
  return passphrase.empty() ? key : crypto::encrypt_private_key(key, passphrase);
}

}  // namespace gatehouse::app
