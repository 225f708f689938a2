#include "acme-server/app/ca_setup/init_parts.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/app/server/config_checks.h"
#include "acme-server/app/server/dry_run.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/files.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/crypto/subject.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr std::size_t kMaxNameLength =
    64;  // RFC 5280 appendix A.1: ub-common-name, ub-organization-name

[[noreturn]] void fail(const std::string& sentence) {
  throw std::runtime_error(sentence);
}

Url read_base_url(const std::string& text) {
  auto url = parse_url(text);
  if (!url || url->scheme != "https" || url->path != "/" || !url->query.empty()) {
    fail("base_url \"" + sanitize(text, 80) +
         "\" is not of the form https://host or https://host:port; ACME runs over HTTPS (RFC 8555 "
         "section 6.1), behind a proxy too");
  }
  return *url;
}

Url read_public_url(const std::string& text, const Url& base) {
  if (text.empty()) {
    Url url = base;
    url.scheme = "http";
    url.port.reset();
    return url;
  }
  auto url = parse_url(text);
  if (!url || url->scheme != "http" || url->path != "/" || !url->query.empty()) {
    fail("public_url \"" + sanitize(text, 80) +
         "\" is not of the form http://host or http://host:port; it is plain HTTP since who "
         "fetches a "
         "CRL cannot check a certificate yet");
  }
  return *url;
}

std::string read_name(const std::string& given, const std::string& otherwise) {
  const std::string name = given.empty() ? otherwise : given;
  if (name.size() > kMaxNameLength || !is_utf8(name)) {
    fail("the name \"" + sanitize(name, 80) + "\" is longer than 64 characters or not UTF-8");
  }
  return name;
}

void check_lifetimes(const InitOptions& options) {
  if (options.issuer_validity < 30 * kDay || options.root_validity < options.issuer_validity) {
    fail(
        "the issuing CA must last for 30 days or more, and the root at least as long as the "
        "issuing CA");
  }
  if (options.root_crl_lifetime < 2 * kDay || options.root_crl_lifetime > options.root_validity) {
    fail("the root's CRL must last for 2 days or more, and no longer than the root");
  }
}

void check_constraints(const InitOptions& options) {
  for (const std::string& name : options.permitted_dns) {
    const auto url = parse_url("http://" + name);
    if (!url || url->host != name || name.starts_with(".") || IpAddress::parse(name)) {
      fail("\"" + sanitize(name, 80) +
           "\" is no DNS name that names can be constrained to, such as corp.example");
    }
  }
  for (const std::string& text : options.permitted_ip) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) fail(prefix.error());
  }
}

}  // namespace

Plan plan_of(const InitOptions& options) {
  Plan plan;
  plan.base = read_base_url(options.base_url);
  plan.public_url = read_public_url(options.public_url, plan.base);
  const std::string organization = read_name(options.organization, "");
  plan.root_name = read_name(options.root_name, organization + " Root CA");
  plan.issuer_name = read_name(options.issuer_name, organization + " Issuing CA");
  if (equals_ignoring_case(plan.root_name, plan.issuer_name)) {
    fail("root and issuing CA are both called \"" + plan.root_name +
         "\"; the issuing CA would look self-signed");
  }
  if (!options.subject.empty()) {
    auto subject = crypto::parse_subject(options.subject);
    if (!subject) fail("--subject: " + subject.error());
    plan.issuer_subject = std::move(*subject);
  }
  if (!options.data.empty()) plan.data = fs::absolute(options.data).lexically_normal().string();
  check_lifetimes(options);
  check_constraints(options);
  if (options.issuer_passphrase.empty() != options.issuer_passphrase_reference.empty()) {
    fail(
        "a passphrase for the issuing CA's key must come from env:NAME or file:path, and not be "
        "empty");
  }
  const fs::path directory = fs::absolute(options.directory).lexically_normal();
  plan.config_file = (directory / "gatehouse.json").string();
  plan.ca = (directory / "ca").string();
  plan.staging = (directory / "ca.new").string();
  for (const std::string& path : {plan.config_file, plan.ca, plan.staging}) {
    std::error_code error;
    if (fs::symlink_status(path, error).type() != fs::file_type::not_found) {
      fail(path +
           " exists; nothing was changed. Choose another folder, or move it away if it is of no "
           "use");
    }
  }
  return plan;
}

crypto::CertificateTemplate ca_template(const std::string& name, const std::string& organization,
                                        const crypto::Signer& key, seconds validity, Instant now,
                                        Entropy& entropy) {
  crypto::CertificateTemplate ca;
  ca.serial = crypto::random_serial(entropy);
  ca.common_name = name;
  ca.organization = organization;
  ca.not_before = now - kBackdate;
  ca.not_after = ca.not_before + validity - seconds(1);  // RFC 5280 section 4.1.2.5: inclusive
  ca.spki = key.public_key();
  ca.key_usages = {"keyCertSign", "cRLSign"};
  ca.is_ca = true;
  return ca;
}

crypto::Certificate sign_ca(const crypto::CertificateTemplate& ca, crypto::Signer& signer) {
  auto certificate = crypto::parse_certificate(
      crypto::sign_certificate(crypto::make_tbs(ca, signer.algorithm()), signer));
  if (!certificate) fail("the CA certificate that was made cannot be read: " + certificate.error());
  return std::move(*certificate);
}

namespace {

std::string quoted(const std::string& text) {
  return print_json(Json(text));
}

// The profile's part of the config, so that orders are refused for names the issuing CA may not
// certify.
std::string profiles_text(const InitOptions& options) {
  if (options.permitted_dns.empty() && options.permitted_ip.empty()) return "";
  Json dns = Json::array();
  for (const std::string& name : options.permitted_dns) {
    dns.push_back(name);
    dns.push_back("*." + name);
  }
  return "\n  // The names that the issuing CA is constrained to.\n"
         "  \"profiles\": {\n    \"default\": {\n      \"identifiers\": { \"allowed_dns\": " +
         print_json(dns) + ", \"allowed_ip\": " + print_json(Json(options.permitted_ip)) +
         " }\n    }\n  },\n";
}

// An absolute path in the config: data lies elsewhere than the config for good.
std::string data_text(const Plan& plan) {
  if (plan.data.empty()) return "";
  return "\n  // What the server writes: its database, the listeners' keys, the control socket.\n"
         "  \"data_directory\": " +
         quoted(plan.data) + ",\n  \"store\": { \"path\": " + quoted(plan.data + "/gatehouse.db") +
         " },\n";
}

std::string listeners_text(const InitOptions& options, const Plan& plan) {
  if (options.systemd) {
    return "\n  // gatehouse.socket and gatehouse-public.socket listen, by these names.\n"
           "  \"listeners\": {\n    \"acme\": [{ \"systemd\": \"acme\" }],\n"
           "    \"public\": [{ \"systemd\": \"public\" }]\n  },\n";
  }
  if (plan.public_url.effective_port() == 80) return "";
  return "\n  // CRLs and issuers, where public_url says they are.\n"
         "  \"listeners\": {\n    \"public\": [{ \"address\": \"::\", \"port\": " +
         std::to_string(plan.public_url.effective_port()) + " }]\n  },\n";
}

}  // namespace

std::string config_text(const InitOptions& options, const Plan& plan, RootOf root) {
  std::string text =
      "// Made by `gatehouse init`. What is not said here has its default; every option is "
      "described in\n"
      "// gatehouse.example.json. Paths are relative to this file's folder.\n{\n"
      "  // Where the package puts it, for editors; the server does not read it.\n"
      "  \"$schema\": \"file:///usr/share/doc/gatehouse/gatehouse.schema.json\",\n\n"
      "  // Where clients reach the server. Account URLs begin with it and never change "
      "afterwards.\n"
      "  \"base_url\": " +
      quoted(plan.base.origin()) +
      ",\n\n"
      "  // Where every certificate says that CRLs and issuers are, for as long as it lives.\n"
      "  \"public_url\": " +
      quoted(plan.public_url.origin()) + ",\n" + data_text(plan) + listeners_text(options, plan) +
      profiles_text(options) +
      "\n  \"backends\": {\n    \"local\": {\n      \"type\": \"local\",\n"
      "      \"certificate\": \"ca/issuer.pem\",\n      \"key\": \"ca/issuer.key\",\n";
  if (!options.issuer_passphrase_reference.empty()) {
    text += "      \"passphrase\": " + quoted(options.issuer_passphrase_reference) + ",\n";
  }
  text += R"(      "root": "ca/root.pem")";
  if (root == RootOf::ours) {
    text +=
        ",\n      // Renewed by `gatehouse root crl`, where the root's key is.\n"
        "      \"root_crl\": \"ca/root.crl\"";
  }
  return text + "\n    }\n  }\n}\n";
}

void try_out(const Plan& plan, const std::string& config_text, const std::vector<NewFile>& files,
             const Secret& passphrase, Clock& clock, Entropy& entropy) {
  const config::Config config = config::parse_config(config_text, plan.config_file, {});
  check_parts(config);
  const auto read = [&](const std::string& path) {
    const auto found =
        std::ranges::find_if(files, [&](const NewFile& file) { return path == "ca/" + file.name; });
    if (found == files.end()) fail(path + ": is not among the files of this installation");
    return found->content;
  };
  Log log;
  const JsonObject all(config.backends, "backends");
  backends::BackendSet set;
  for (const auto& item : config.backends.items()) {
    set.add(
        backends::make_backend(item.key(), all.object(item.key()),
                               {.clock = clock,
                                .entropy = entropy,
                                .log = log,
                                .public_url = config.public_url,
                                .read_file = read,
                                .read_key_file = read,
                                .resolve_secret = [&](const std::string&) { return passphrase; },
                                .decorate_signer = [](auto signer) { return signer; }}));
  }
  require_usable_certificates(config, set, clock.now());
}

void make_installation(const Plan& plan, const std::string& config,
                       const std::vector<NewFile>& files) {
  bool config_written = false;
  try {
    if (!plan.data.empty()) make_private_folder(plan.data);
    make_private_folder(plan.staging);
    for (const NewFile& file : files) {
      write_file(plan.staging + "/" + file.name, file.content, file.access, ExistingFile::refuse);
    }
    write_file(plan.config_file, config, FileAccess::everyone_reads, ExistingFile::refuse);
    config_written = true;
    fs::rename(plan.staging, plan.ca);
    sync_folder(fs::path(plan.ca).parent_path().string());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(plan.staging, ignored);
    if (config_written) fs::remove(plan.config_file, ignored);
    throw;
  }
}

}  // namespace gatehouse::app
