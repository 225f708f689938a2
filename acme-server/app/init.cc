#include "acme-server/app/init.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "acme-server/base/hex.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/issue.h"

namespace gatehouse::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

constexpr hours kBackdate{1};  // for clients whose clock is behind
constexpr std::size_t kMaxNameLength =
    64;  // RFC 5280 appendix A.1: ub-common-name, ub-organization-name
constexpr std::size_t kMaxSerialBytes = 20;  // RFC 5280 section 4.1.2.2
constexpr std::int64_t kMicroseconds = 1'000'000;
// RFC 5280 section 5.3.1, what can be said of a CA for good.
constexpr std::array kReasons = {0, 1, 2, 3, 4, 5, 9};

[[noreturn]] void fail(const std::string& sentence) {
  throw std::runtime_error(sentence);
}

// What init() is asked for, once it is known to make sense.
struct Plan {
  Url base;
  Url public_url;
  std::string root_name, issuer_name;
  std::string config_file, ca, staging;
};

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

// Checks everything that can be checked before anything is made.
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

std::string origin_of(const Plan& plan) {
  return plan.public_url.origin();
}

// A CA certificate's template, but for who signs it.
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

crypto::Certificate sign(const crypto::CertificateTemplate& ca, crypto::Signer& signer) {
  auto certificate = crypto::parse_certificate(
      crypto::sign_certificate(crypto::make_tbs(ca, signer.algorithm()), signer));
  if (!certificate) fail("the CA certificate that was made cannot be read: " + certificate.error());
  return std::move(*certificate);
}

// A CRL by the root, with no issuingDistributionPoint: it is the only one the root has.
Bytes sign_root_crl(const crypto::Certificate& root, crypto::Signer& key, std::int64_t number,
                    Instant now, seconds lifetime, const std::vector<crypto::CrlEntry>& entries) {
  crypto::CrlBuilder builder;
  for (const crypto::CrlEntry& entry : entries) builder.add(entry);
  Bytes crl = builder.finish({.issuer_name_der = root.subject_name_der,
                              .authority_key_id = root.subject_key_id,
                              .number = number,
                              .this_update = now,
                              .next_update = now + lifetime,
                              .distribution_point = ""},
                             key);
  const auto read = crypto::parse_crl(crl);
  if (!read || read->head.number != number || read->entries != entries ||
      !crypto::crl_is_signed_by(crl, root)) {
    fail("the root's CRL that was made does not read back as it should; nothing was written");
  }
  return crl;
}

std::string fingerprint_of(const crypto::Certificate& certificate) {
  const std::string hex = crypto::sha256_hex(certificate.der);
  std::string fingerprint;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i > 0 && i % 2 == 0) fingerprint += ':';
    fingerprint += hex[i] >= 'a' ? static_cast<char>(hex[i] - 'a' + 'A') : hex[i];
  }
  return fingerprint;
}

Secret sealed(const Secret& key, const Secret& passphrase) {
  return passphrase.empty() ? key : crypto::encrypt_private_key(key, passphrase);
}

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

std::string listeners_text(const Plan& plan) {
  if (plan.public_url.effective_port() == 80) return "";
  return "\n  // CRLs and issuers, where public_url says they are.\n"
         "  \"listeners\": {\n    \"public\": [{ \"address\": \"::\", \"port\": " +
         std::to_string(plan.public_url.effective_port()) + " }]\n  },\n";
}

std::string config_text(const InitOptions& options, const Plan& plan) {
  std::string text =
      "// Made by `gatehouse init`. What is not said here has its default; every option is "
      "described in\n"
      "// gatehouse.example.json. Paths are relative to this file's folder.\n{\n"
      "  // Where clients reach the server. Account URLs begin with it and never change "
      "afterwards.\n"
      "  \"base_url\": " +
      quoted(plan.base.origin()) +
      ",\n\n"
      "  // Where every certificate says that CRLs and issuers are, for as long as it lives.\n"
      "  \"public_url\": " +
      quoted(origin_of(plan)) + ",\n" + listeners_text(plan) + profiles_text(options) +
      "\n  \"backends\": {\n    \"local\": {\n      \"type\": \"local\",\n"
      "      \"certificate\": \"ca/issuer.pem\",\n      \"key\": \"ca/issuer.key\",\n";
  if (!options.issuer_passphrase_reference.empty()) {
    text += "      \"passphrase\": " + quoted(options.issuer_passphrase_reference) + ",\n";
  }
  return text +
         "      \"root\": \"ca/root.pem\",\n"
         "      // Renewed by `gatehouse root crl`, where the root's key is.\n"
         "      \"root_crl\": \"ca/root.crl\"\n    }\n  }\n}\n";
}

std::vector<std::string> lines_of(const InitOptions& options, const Plan& plan,
                                  const InitResult& result, const crypto::Certificate& root,
                                  const crypto::Certificate& issuer, Instant crl_ends) {
  std::vector<std::string> lines = {
      "Root CA:     " + root.subject_name + ", until " + to_rfc3339(root.not_after),
      "Issuing CA:  " + issuer.subject_name + ", until " + to_rfc3339(issuer.not_after),
      "SHA-256 fingerprint of the root: " + result.root_fingerprint,
      "Public URL:  " + result.public_url,
      "  Every certificate will name it as the place of its CRL and issuer, and that cannot be "
      "changed",
      "  afterwards. Whoever checks certificates must reach it. If it is not right, delete " +
          result.ca_directory + " and",
      "  " + result.config_file + " now and run init again with the right public URL.",
      "Next:",
      "  gatehouse check-config --config " + result.config_file,
      "  gatehouse serve --config " + result.config_file,
      "  Give clients " + plan.ca + "/root.pem (also " + result.public_url +
          "/root.pem, to be compared with the fingerprint).",
      "  Move " + plan.ca +
          "/root.key to a medium that is kept offline: the server does not need it.",
      "  Bring it back before " + to_rfc3339(crl_ends) +
          " to renew the root's CRL: gatehouse root crl"};
  if (options.root_passphrase.empty() && options.issuer_passphrase.empty()) {
    lines.push_back("  Neither private key is encrypted; file permissions alone protect them.");
  }
  return lines;
}

// The root's certificate and CRL as their files say.
struct RootState {
  crypto::Certificate certificate;
  crypto::Crl crl;
};

RootState read_root(const std::string& root_file, const std::string& crl_file) {
  const auto chain = crypto::parse_pem_chain(read_file(root_file));
  if (!chain) fail(root_file + ": " + chain.error());
  RootState state{.certificate = chain->front(), .crl = {}};
  std::error_code error;
  if (!fs::exists(crl_file, error)) {
    fail(crl_file +
         ": is missing; put the last one that was published there, else what it revokes would be "
         "valid again");
  }
  const std::string der = read_file(crl_file);
  auto crl = crypto::parse_crl(as_bytes(der));
  if (!crl) fail(crl_file + ": " + crl.error());
  if (!crypto::crl_is_signed_by(as_bytes(der), state.certificate)) {
    fail(crl_file + ": is not signed by the root in " + root_file);
  }
  state.crl = std::move(*crl);
  return state;
}

// "0A:BC…" or "0abc…" as Certificate::serial has it.
std::string read_serial(const std::string& text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != ':'; });
  auto octets = hex_decode(digits);
  if (octets) {
    const auto first = std::ranges::find_if(*octets, [](std::uint8_t octet) { return octet != 0; });
    octets->erase(octets->begin(), first);
  }
  if (!octets || octets->empty() || octets->size() > kMaxSerialBytes) {
    fail("\"" + sanitize(text, 80) +
         "\" is no serial number; give it in hex, as `openssl x509 -serial` prints it");
  }
  return hex_encode(*octets);
}

}  // namespace

InitResult init(const InitOptions& options, Clock& clock, Entropy& entropy) {
  const Plan plan = plan_of(options);
  const Instant now = clock.now();
  const Secret root_pem = crypto::generate_private_key(options.root_key);
  const Secret issuer_pem = crypto::generate_private_key(options.issuer_key);
  const auto root_key = crypto::load_signer(root_pem, Secret());
  const auto issuer_key = crypto::load_signer(issuer_pem, Secret());

  const crypto::Certificate root = sign(ca_template(plan.root_name, options.organization, *root_key,
                                                    options.root_validity, now, entropy),
                                        *root_key);
  crypto::CertificateTemplate below = ca_template(
      plan.issuer_name, options.organization, *issuer_key, options.issuer_validity, now, entropy);
  below.issuer_name_der = root.subject_name_der;
  below.authority_key_id = root.subject_key_id;
  below.path_length = 0;
  below.permitted_dns = options.permitted_dns;
  below.permitted_ip = options.permitted_ip;
  below.crl_url = origin_of(plan) + "/crl/root.crl";
  below.issuer_url = origin_of(plan) + "/issuer/root.cer";
  const crypto::Certificate issuer = sign(below, *root_key);
  if (const auto problem = crypto::why_chain_fails({issuer}, root, now)) {
    fail("the CA that was made does not hold together: " + *problem);
  }
  const Bytes crl = sign_root_crl(root, *root_key, to_unix(now) * kMicroseconds, now,
                                  options.root_crl_lifetime, {});

  InitResult result{.config_file = plan.config_file,
                    .ca_directory = plan.ca,
                    .root_fingerprint = fingerprint_of(root),
                    .public_url = origin_of(plan),
                    .lines = {}};
  const Secret& root_passphrase =
      options.root_passphrase.empty() ? options.issuer_passphrase : options.root_passphrase;
  bool config_written = false;
  try {
    make_private_folder(plan.staging);
    const auto put = [&](std::string_view name, std::string_view content, FileAccess access) {
      write_file(plan.staging + "/" + std::string(name), content, access, ExistingFile::refuse);
    };
    put("root.key", sealed(root_pem, root_passphrase).reveal(), FileAccess::owner_only);
    put("issuer.key", sealed(issuer_pem, options.issuer_passphrase).reveal(),
        FileAccess::owner_only);
    put("root.pem", crypto::to_pem(root.der), FileAccess::everyone_reads);
    put("issuer.pem", crypto::to_pem(issuer.der), FileAccess::everyone_reads);
    put("root.crl", as_text(crl), FileAccess::everyone_reads);
    write_file(plan.config_file, config_text(options, plan), FileAccess::everyone_reads,
               ExistingFile::refuse);
    config_written = true;
    fs::rename(plan.staging, plan.ca);
    sync_folder(fs::path(plan.ca).parent_path().string());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(plan.staging, ignored);
    if (config_written) fs::remove(plan.config_file, ignored);
    throw;
  }
  result.lines = lines_of(options, plan, result, root, issuer, now + options.root_crl_lifetime);
  return result;
}

RootCrlResult renew_root_crl(const RootCrlOptions& options, Clock& clock) {
  const std::string ca = (fs::absolute(options.directory).lexically_normal() / "ca").string();
  const std::string key_file = options.root_key.empty() ? ca + "/root.key" : options.root_key;
  const std::string crl_file = ca + "/root.crl";
  if (options.lifetime < 2 * kDay) fail("the root's CRL must last for 2 days or more");
  if (std::ranges::find(kReasons, options.reason) == kReasons.end()) {
    fail("reason " + std::to_string(options.reason) + " is none of 0, 1, 2, 3, 4, 5, 9");
  }
  const RootState root = read_root(ca + "/root.pem", crl_file);
  if (const auto problem = key_file_problem(key_file)) fail(*problem);
  const Secret pem(read_file(key_file));
  std::unique_ptr<crypto::Signer> key;
  try {
    key = crypto::load_signer(pem, options.passphrase);
  } catch (const std::runtime_error& error) {
    fail(key_file + ": " + error.what());
  }
  if (key->public_key() != root.certificate.spki) {
    fail(key_file + ": is not the key of the root in " + ca + "/root.pem");
  }

  const Instant now = clock.now();
  std::vector<crypto::CrlEntry> entries = root.crl.entries;
  for (const std::string& text : options.revoke) {
    const std::string serial = read_serial(text);
    // What was revoked before keeps its time and reason.
    if (std::ranges::find(entries, serial, &crypto::CrlEntry::serial) != entries.end()) continue;
    entries.push_back({.serial = serial, .revoked_at = now, .reason = options.reason});
  }
  const std::int64_t number = std::max(root.crl.head.number + 1, to_unix(now) * kMicroseconds);
  const Bytes crl = sign_root_crl(root.certificate, *key, number, now, options.lifetime, entries);
  write_file(crl_file, as_text(crl), FileAccess::everyone_reads, ExistingFile::replace);

  const Instant ends = now + options.lifetime;
  return {.file = crl_file,
          .number = number,
          .next_update = ends,
          .entries = entries.size(),
          .lines = {"Root CRL:  " + crl_file + ", number " + std::to_string(number) + ", " +
                        std::to_string(entries.size()) + " revoked, until " + to_rfc3339(ends),
                    "Copy it to ca/root.crl on the server if this is another machine; it is served "
                    "within a minute.",
                    "Take the root's key offline again."}};
}

std::optional<crypto::NewKey> new_key_from(std::string_view text) {
  if (text == "p256") return crypto::NewKey::p256;
  if (text == "p384") return crypto::NewKey::p384;
  if (text == "rsa2048") return crypto::NewKey::rsa2048;
  if (text == "rsa3072") return crypto::NewKey::rsa3072;
  if (text == "rsa4096") return crypto::NewKey::rsa4096;
  return std::nullopt;
}

}  // namespace gatehouse::app
