#include "acme-server/app/ca_setup/init.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/app/ca_setup/init_parts.h"
#include "acme-server/app/ca_setup/issuer_files.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/revocation_reason.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr std::size_t kMaxSerialBytes = 20;  // RFC 5280 section 4.1.2.2
constexpr std::int64_t kMicroseconds = 1'000'000;

[[noreturn]] void fail(const std::string& sentence) {
  throw std::runtime_error(sentence);
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
    lines.emplace_back("  Neither private key is encrypted; file permissions alone protect them.");
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
    fail(crl_file + ": " +
         crypto::why_crl_unverifiable(as_bytes(der))
             .value_or("is not signed by the root in " + root_file));
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

  const crypto::Certificate root =
      sign_ca(ca_template(plan.root_name, options.organization, *root_key, options.root_validity,
                          now, entropy),
              *root_key);
  crypto::CertificateTemplate below = ca_template(
      plan.issuer_name, options.organization, *issuer_key, options.issuer_validity, now, entropy);
  below.issuer_name_der = root.subject_name_der;
  below.authority_key_id = root.subject_key_id;
  below.path_length = 0;
  below.permitted_dns = options.permitted_dns;
  below.permitted_ip = options.permitted_ip;
  below.crl_url = plan.public_url.origin() + "/crl/root.crl";
  below.issuer_url = plan.public_url.origin() + "/issuer/root.cer";
  const crypto::Certificate issuer = sign_ca(below, *root_key);
  if (const auto problem = crypto::why_chain_fails({issuer}, root, now)) {
    fail("the CA that was made does not hold together: " + *problem);
  }
  const Bytes crl = sign_root_crl(root, *root_key, to_unix(now) * kMicroseconds, now,
                                  options.root_crl_lifetime, {});

  InitResult result{.config_file = plan.config_file,
                    .ca_directory = plan.ca,
                    .root_fingerprint = fingerprint_of(root),
                    .public_url = plan.public_url.origin(),
                    .lines = {}};
  const Secret& root_passphrase =
      options.root_passphrase.empty() ? options.issuer_passphrase : options.root_passphrase;
  const auto text = [](const Secret& secret) { return std::string(secret.reveal()); };
  const std::string config = config_text(options, plan, RootOf::ours);
  const std::vector<NewFile> files = {
      {"root.key", text(sealed(root_pem, root_passphrase)), FileAccess::owner_only},
      {"issuer.key", text(sealed(issuer_pem, options.issuer_passphrase)), FileAccess::owner_only},
      {"root.pem", crypto::to_pem(root.der), FileAccess::everyone_reads},
      {"issuer.pem", crypto::to_pem(issuer.der), FileAccess::everyone_reads},
      {"root.crl", std::string(as_text(crl)), FileAccess::everyone_reads}};
  try_out(plan, config, files, options.issuer_passphrase, clock, entropy);
  make_installation(plan, config, files);
  result.lines = lines_of(options, plan, result, root, issuer, now + options.root_crl_lifetime);
  return result;
}

RootCrlResult renew_root_crl(const RootCrlOptions& options, Clock& clock) {
  const std::string ca = (fs::absolute(options.directory).lexically_normal() / "ca").string();
  const std::string key_file = options.root_key.empty() ? ca + "/root.key" : options.root_key;
  const std::string crl_file = ca + "/root.crl";
  if (options.lifetime < 2 * kDay) fail("the root's CRL must last for 2 days or more");
  if (!is_revocation_reason(options.reason, Revoked::ca)) {
    fail("reason " + std::to_string(options.reason) + " is none of " +
         list_revocation_reasons(Revoked::ca));
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

}  // namespace gatehouse::app
