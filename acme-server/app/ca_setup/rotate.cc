#include "acme-server/app/ca_setup/rotate.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/app/ca_setup/init_parts.h"
#include "acme-server/app/ca_setup/issuer_files.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/path.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/crypto/subject.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "config/edit.h"

namespace gatehouse::app {

namespace {

namespace fs = std::filesystem;
using crypto::Certificate;
using std::chrono::seconds;

constexpr int kMaxIssuers = 1000;
constexpr std::chrono::hours kYoung{24 + 1};  // a day, and the hour that notBefore is set back

[[noreturn]] void fail(const std::string& sentence) {
  throw std::runtime_error(sentence);
}

// The issuer to come. Paths as the config will have them.
struct Next {
  int number = 2;
  backends::IssuerFiles files;
  std::string request;
};

// "Corp Issuing CA 2" -> "Corp Issuing CA", "issuer-2" -> "issuer".
std::string without_number(const std::string& text, char before) {
  const std::size_t digits = text.find_last_not_of("0123456789");
  if (digits == std::string::npos || digits + 1 == text.size() || text[digits] != before) {
    return text;
  }
  return text.substr(0, digits);
}

Next next_of(const LocalBackend& backend, const RotateOptions& options) {
  const backends::LocalCaOptions& in_use = backend.options();
  const fs::path certificate = in_use.issuer.certificate;
  const std::string stem =
      (certificate.parent_path() / without_number(certificate.stem().string(), '-')).string();
  const auto is_named = [&](const std::string& file) {
    return in_use.issuer.certificate == file ||
           std::ranges::find(in_use.previous, file, &backends::IssuerFiles::certificate) !=
               in_use.previous.end();
  };
  for (int number = 2; number < kMaxIssuers; ++number) {
    const std::string name = stem + "-" + std::to_string(number);
    // One that is not named is left over from a run that was cut short, and waits to be finished.
    if (is_named(name + ".pem")) continue;
    return {.number = number,
            .files = {.certificate = name + ".pem",
                      .key = name + ".key",
                      .passphrase = options.passphrase_reference.empty()
                                        ? in_use.issuer.passphrase
                                        : options.passphrase_reference},
            .request = name + ".csr"};
  }
  fail("there are too many issuers in " + backend.absolute(stem));
}

// The key of the issuer to come, made where there is none yet.
std::unique_ptr<crypto::Signer> next_key(const LocalBackend& backend, const Next& next,
                                         crypto::NewKey kind) {
  const std::string file = backend.absolute(next.files.key);
  if (!fs::exists(file)) {
    const Secret key =
        sealed(crypto::generate_private_key(kind), backend.passphrase(next.files.passphrase));
    write_file(file, key.reveal(), FileAccess::owner_only, ExistingFile::refuse);
    crash_point("rotate.key_made");
  }
  return backend.key(next.files);
}

// What the new CA is to be: the old one over again under another name.
crypto::CertificateTemplate template_of(const Certificate& old, const Next& next,
                                        const std::string& name, const crypto::Signer& key) {
  crypto::CertificateTemplate ca = template_like(old);
  const std::string base = old.common_names.empty() ? "Issuing CA" : old.common_names.front();
  const std::string common_name =
      name.empty() ? without_number(base, ' ') + " " + std::to_string(next.number) : name;
  ca.subject_name_der = crypto::with_common_name(old.subject_name_der, common_name);
  if (ca.subject_name_der == old.subject_name_der) {
    fail("the next issuing CA needs another name than \"" + common_name +
         "\": whoever builds chains by name would take one for the other");
  }
  ca.spki = key.public_key();
  return ca;
}

// A certificate from our own root, with the old one's places for CRL and issuer, and its length of
// life as far as the root's reaches.
Certificate sign_by_root(const LocalBackend& backend, const RotateOptions& options,
                         crypto::CertificateTemplate ca, const Certificate& old, Instant now,
                         Entropy& entropy) {
  const Certificate root = backend.chain(backend.options().root).front();
  if (const auto problem = key_file_problem(options.root_key)) fail(*problem);
  std::unique_ptr<crypto::Signer> root_key;
  try {
    root_key = crypto::load_signer(Secret(read_file(options.root_key)), options.root_passphrase);
  } catch (const std::runtime_error& error) {
    fail(options.root_key + ": " + error.what());
  }
  if (crypto::jwk_of_spki(root_key->public_key()) != crypto::jwk_of_spki(root.spki)) {
    fail(options.root_key + ": is not the key of the root in " +
         backend.absolute(backend.options().root));
  }
  ca.serial = crypto::random_serial(entropy);
  ca.issuer_name_der = root.subject_name_der;
  ca.authority_key_id = root.subject_key_id;
  ca.not_before = now - kBackdate;
  ca.not_after = std::min(ca.not_before + (old.not_after - old.not_before), root.not_after);
  if (ca.not_after < now + 30 * kDay) {
    fail("the root ends " + to_rfc3339(root.not_after) +
         ", too soon for another issuing CA under it; make a new CA with gatehouse init");
  }
  if (!old.crl_urls.empty()) ca.crl_url = old.crl_urls.front();
  if (!old.issuer_urls.empty()) ca.issuer_url = old.issuer_urls.front();
  return sign_ca(ca, *root_key);
}

// The whole switch is this text: one file, replaced in one step.
std::string switched(const LocalBackend& backend, const Next& next) {
  const config::MemberPath place = {"backends", backend.name()};
  const auto at = [&](const char* name) {
    config::MemberPath path = place;
    path.emplace_back(name);
    return path;
  };
  const backends::LocalCaOptions& options = backend.options();
  Json old = {{"certificate", options.issuer.certificate}, {"key", options.issuer.key}};
  if (!options.issuer.passphrase.empty()) old["passphrase"] = options.issuer.passphrase;
  std::string text = backend.config_text();
  // A config that leaves all backends to their default gets the default in writing.
  if (!parse_json(text, {.depth = 12, .members = 4096, .comments = true}).contains("backends")) {
    text = config::set_member(text, place, backend.config().backends.at(backend.name()));
  }
  text = config::add_element(text, at("previous"), old, config::ListEnd::front);
  text = config::set_member(text, at("certificate"), next.files.certificate);
  text = config::set_member(text, at("key"), next.files.key);
  if (next.files.passphrase != options.issuer.passphrase) {
    text = config::set_member(text, at("passphrase"), next.files.passphrase);
  }
  return text;
}

std::vector<std::string> put_in_use(const LocalBackend& backend, const Next& next,
                                    const std::vector<Certificate>& chain, Clock& clock,
                                    Entropy& entropy) {
  const std::string file = backend.absolute(next.files.certificate);
  const std::string pem = pem_of(chain);
  const std::string text = switched(backend, next);
  backend.check(text, {{file, pem}}, clock, entropy);
  write_file(file, pem, FileAccess::everyone_reads, ExistingFile::replace);
  crash_point("rotate.certificate_kept");
  backend.write_config(text);
  crash_point("rotate.switched");
  return {
      "Issuing CA:  " + chain.front().subject_name + ", until " +
          to_rfc3339(chain.front().not_after),
      "  in use from the next start of the server; " + backend.config().file + " names it.",
      "Before it:   " + backend.chain(backend.options().issuer.certificate).front().subject_name,
      "  goes on signing its CRLs and finishes what it has begun: keep its key.",
      "Next: restart the server (a reload does not do)."};
}

// A second run by mistake would make a third issuer.
void check_age(const Certificate& in_use, Instant now, bool again) {
  if (again || now - in_use.not_before > kYoung) return;
  fail("the issuer in use, \"" + in_use.subject_name +
       "\", is not a day old; nothing was changed. If another one is meant, say --again");
}

// The second half of a rotation under a company's root.
std::vector<std::string> import_next(const LocalBackend& backend, const Next& next,
                                     const RotateOptions& options, const Certificate& old,
                                     Clock& clock, Entropy& entropy) {
  const std::string key_file = backend.absolute(next.files.key);
  if (!fs::exists(key_file)) {
    if (is_among(options.offered, old)) {
      return {"\"" + old.subject_name + "\" is in use already; nothing was changed."};
    }
    fail(key_file +
         ": is missing, so no request is under way; make one with gatehouse rotate-issuer --csr");
  }
  const crypto::Path path = read_issued(options.offered, backend.key(next.files)->public_key(),
                                        backend.absolute(next.request), clock.now());
  const Certificate root = backend.chain(backend.options().root).front();
  if (path.root.der != root.der) {
    fail("it leads to the root \"" + path.root.subject_name + "\", another than \"" +
         root.subject_name + "\" of this backend; a CA under another root is another backend");
  }
  if (path.chain.front().subject_name_der == old.subject_name_der) {
    fail("\"" + old.subject_name +
         "\" is the old issuing CA's name, too; have the request signed under the name in it");
  }
  return put_in_use(backend, next, path.chain, clock, entropy);
}

}  // namespace

std::vector<std::string> rotate_issuer(const RotateOptions& options, Clock& clock,
                                       Entropy& entropy) {
  using How = RotateOptions::How;
  const LocalBackend backend(options.config_file, options.backend);
  const Certificate old = backend.chain(backend.options().issuer.certificate).front();
  const Next next = next_of(backend, options);
  const std::string request = backend.absolute(next.request);
  const Instant now = clock.now();
  if (options.how == How::import) return import_next(backend, next, options, old, clock, entropy);
  check_age(old, now, options.again);
  if (options.how == How::root_key) {
    const auto key = next_key(backend, next, options.key);
    const Certificate issuer = sign_by_root(
        backend, options, template_of(old, next, options.name, *key), old, now, entropy);
    std::vector<std::string> lines = put_in_use(backend, next, {issuer}, clock, entropy);
    lines.emplace_back("Take the root's key offline again.");
    return lines;
  }
  if (!fs::exists(request)) {
    const auto key = next_key(backend, next, options.key);
    const auto wanted = template_of(old, next, options.name, *key);
    write_file(request, crypto::request_to_pem(crypto::make_ca_request(wanted, *key)),
               FileAccess::everyone_reads, ExistingFile::replace);
    crash_point("rotate.requested");
  }
  return {"Request:     " + request,
          "Next:", "  Have your company's CA sign it as a subordinate CA.",
          "  gatehouse rotate-issuer --config " + backend.config().file + " --import FILE…",
          "Until then nothing has changed: the old issuer is in use."};
}

}  // namespace gatehouse::app
