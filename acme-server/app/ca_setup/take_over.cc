#include "acme-server/app/ca_setup/take_over.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/app/ca_setup/init_parts.h"
#include "acme-server/app/ca_setup/issuer_files.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/files.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/path.h"
#include "acme-server/crypto/signer.h"
#include "config/edit.h"

namespace gatehouse::app {

namespace {

namespace fs = std::filesystem;
using crypto::Certificate;

constexpr int kMaxAlternateFiles = 100;

std::string config_in(const std::string& directory) {
  return (fs::absolute(directory).lexically_normal() / "gatehouse.json").string();
}

// Beside the certificate: the request for it.
std::string request_of(const LocalBackend& backend) {
  return fs::path(backend.absolute(backend.options().issuer.certificate))
      .replace_extension(".csr")
      .string();
}

std::vector<std::string> lines_of_issuer(const crypto::Path& path) {
  const Certificate& issuer = path.chain.front();
  return {"Issuing CA:  " + issuer.subject_name + ", until " + to_rfc3339(issuer.not_after),
          "Root CA:     " + path.root.subject_name + ", until " + to_rfc3339(path.root.not_after),
          "SHA-256 fingerprint of the root: " + fingerprint_of(path.root),
          "  Compare it with the one that your company publishes."};
}

// Puts the certificate in place for the first time.
std::vector<std::string> take_over(const LocalBackend& backend, const crypto::Path& path,
                                   Clock& clock, Entropy& entropy) {
  const std::string issuer_file = backend.absolute(backend.options().issuer.certificate);
  const std::string root_file = backend.absolute(backend.options().root);
  const std::string chain = pem_of(path.chain);
  const std::string root = pem_of({path.root});
  backend.check(backend.config_text(), {{issuer_file, chain}, {root_file, root}}, clock, entropy);
  // The issuer's file last: while it is missing the server says that it waits.
  write_file(root_file, root, FileAccess::everyone_reads, ExistingFile::replace);
  write_file(issuer_file, chain, FileAccess::everyone_reads, ExistingFile::replace);
  std::vector<std::string> lines = lines_of_issuer(path);
  lines.emplace_back("Next:");
  lines.push_back("  gatehouse check-config --config " + backend.config().file);
  lines.push_back("  gatehouse serve --config " + backend.config().file);
  return lines;
}

// A certificate for an issuer that has one.
std::vector<std::string> extend(const LocalBackend& backend, const crypto::Path& path, Clock& clock,
                                Entropy& entropy) {
  const backends::LocalCaOptions& options = backend.options();
  const std::string issuer_file = backend.absolute(options.issuer.certificate);
  const Certificate held = backend.chain(options.issuer.certificate).front();
  const Certificate& given = path.chain.front();
  if (given.der == held.der) {
    return {issuer_file + " holds this certificate already; nothing was changed."};
  }
  if (given.subject_name_der != held.subject_name_der ||
      given.subject_key_id != held.subject_key_id) {
    throw std::runtime_error("\"" + given.subject_name +
                             "\" has another name or key identifier than the issuing CA \"" +
                             held.subject_name +
                             "\", whose certificates would have no issuer any more; use gatehouse "
                             "rotate-issuer for a CA with a name of its own");
  }
  if (given.not_after <= held.not_after) {
    throw std::runtime_error("the certificate that is given ends " + to_rfc3339(given.not_after) +
                             ", no later than the one in " + issuer_file + "; nothing was changed");
  }
  if (path.root.der != backend.chain(options.root).front().der) {
    throw std::runtime_error("it leads to the root \"" + path.root.subject_name +
                             "\", another than the one in " + backend.absolute(options.root) +
                             "; add it with --alternate, to be served besides");
  }
  const std::string chain = pem_of(path.chain);
  backend.check(backend.config_text(), {{issuer_file, chain}}, clock, entropy);
  write_file(issuer_file, chain, FileAccess::everyone_reads, ExistingFile::replace);
  std::vector<std::string> lines = lines_of_issuer(path);
  lines.emplace_back(
      "The issuing CA is extended; restart the server for it (a reload does not do).");
  return lines;
}

std::string free_alternate_file(const LocalBackend& backend) {
  const fs::path folder = fs::path(backend.options().issuer.certificate).parent_path();
  for (int number = 1; number <= kMaxAlternateFiles; ++number) {
    const std::string file = (folder / ("alternate-" + std::to_string(number) + ".pem")).string();
    const auto& named = backend.options().alternates;
    // One that the config does not name is left over from a run that was cut short.
    if (std::ranges::find(named, file) == named.end()) return file;
  }
  throw std::runtime_error("there are " + std::to_string(kMaxAlternateFiles) +
                           " alternate chains already; remove some");
}

std::vector<std::string> add_alternate(const LocalBackend& backend, const crypto::Path& path,
                                       Clock& clock, Entropy& entropy) {
  const backends::LocalCaOptions& options = backend.options();
  if (path.root.der == backend.chain(options.root).front().der) {
    throw std::runtime_error("it leads to \"" + path.root.subject_name +
                             "\", the root that certificates are served under anyway; an alternate "
                             "chain leads to another");
  }
  std::vector<Certificate> whole = path.chain;
  whole.push_back(path.root);
  const Certificate held = backend.chain(options.issuer.certificate).front();
  if (path.chain.front().subject_name_der != held.subject_name_der ||
      path.chain.front().subject_key_id != held.subject_key_id) {
    throw std::runtime_error(
        "\"" + path.chain.front().subject_name +
        "\" has another name or key identifier than the issuing CA \"" + held.subject_name +
        "\", so that chains could not be built by it; have the request of gatehouse init --csr "
        "certified with the name and subjectKeyIdentifier in it");
  }
  for (const std::string& known : options.alternates) {
    if (backend.chain(known) == whole) {
      return {backend.absolute(known) + " holds this chain already; nothing was changed."};
    }
  }
  const std::string file = free_alternate_file(backend);
  const std::string text =
      config::add_element(backend.config_text(), {"backends", backend.name(), "alternates"}, file,
                          config::ListEnd::back);
  const std::string pem = pem_of(whole);
  backend.check(text, {{backend.absolute(file), pem}}, clock, entropy);
  write_file(backend.absolute(file), pem, FileAccess::everyone_reads, ExistingFile::replace);
  backend.write_config(text);
  std::vector<std::string> lines = lines_of_issuer(path);
  lines.push_back("Served as an alternate chain after a restart of the server; " +
                  backend.config().file + " names " + file + ".");
  return lines;
}

}  // namespace

namespace {

// `wanted` signed by a root that exists for this moment alone.
std::vector<NewFile> as_if_signed(const InitOptions& options, const Plan& plan,
                                  crypto::CertificateTemplate wanted, const std::string& key,
                                  Instant now, Entropy& entropy) {
  const auto root_key =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  const Certificate root = sign_ca(ca_template(plan.root_name, options.organization, *root_key,
                                               options.root_validity, now, entropy),
                                   *root_key);
  wanted.serial = crypto::random_serial(entropy);
  wanted.issuer_name_der = root.subject_name_der;
  wanted.authority_key_id = root.subject_key_id;
  wanted.not_before = root.not_before;
  wanted.not_after = root.not_after;
  const Certificate issuer = sign_ca(wanted, *root_key);
  return {{"issuer.key", key, FileAccess::owner_only},
          {"issuer.pem", crypto::to_pem(issuer.der), FileAccess::everyone_reads},
          {"root.pem", crypto::to_pem(root.der), FileAccess::everyone_reads}};
}

}  // namespace

InitResult init_request(const InitOptions& options, Clock& clock, Entropy& entropy) {
  const Plan plan = plan_of(options);
  const Secret pem = crypto::generate_private_key(options.issuer_key);
  const auto key = crypto::load_signer(pem, Secret());
  crypto::CertificateTemplate wanted;
  wanted.common_name = plan.issuer_name;
  wanted.organization = options.organization;
  wanted.subject_name_der = plan.issuer_subject;
  wanted.spki = key->public_key();
  wanted.is_ca = true;
  wanted.path_length = 0;
  wanted.key_usages = {"keyCertSign", "cRLSign"};
  wanted.permitted_dns = options.permitted_dns;
  wanted.permitted_ip = options.permitted_ip;
  const std::string request = crypto::request_to_pem(crypto::make_ca_request(wanted, *key));
  const std::string sealed_key(sealed(pem, options.issuer_passphrase).reveal());
  const std::string config = config_text(options, plan, RootOf::company);
  try_out(plan, config, as_if_signed(options, plan, wanted, sealed_key, clock.now(), entropy),
          options.issuer_passphrase, clock, entropy);
  make_installation(plan, config,
                    {{"issuer.key", sealed_key, FileAccess::owner_only},
                     {"issuer.csr", request, FileAccess::everyone_reads}});

  InitResult result{.config_file = plan.config_file,
                    .ca_directory = plan.ca,
                    .root_fingerprint = "",
                    .public_url = plan.public_url.origin(),
                    .lines = {}};
  result.lines = {
      "Request:     " + plan.ca + "/issuer.csr, for \"" +
          (options.subject.empty() ? plan.issuer_name : options.subject) + "\"",
      "Public URL:  " + result.public_url,
      "  Every certificate will name it as the place of its CRL and issuer, and that cannot be "
      "changed",
      "  afterwards.",
      "Next:",
      "  Have your company's CA sign the request as a subordinate CA.",
      "  gatehouse init --import FILE… --directory " +
          fs::path(plan.config_file).parent_path().string(),
      "  FILE is what it gives back: PEM, DER or PKCS#7 (.p7b), with the certificates above it."};
  return result;
}

std::vector<std::string> request_again(const std::string& directory, const std::string& name) {
  const LocalBackend backend(config_in(directory), name);
  const backends::IssuerFiles& files = backend.options().issuer;
  const std::string request = request_of(backend);
  if (!fs::exists(backend.absolute(files.certificate))) {
    return {"Request:     " + request + " waits for its certificate already; nothing was changed."};
  }
  const Certificate issuer = backend.chain(files.certificate).front();
  const crypto::CertificateTemplate wanted = template_like(issuer);
  const auto key = backend.key(files);
  write_file(request, crypto::request_to_pem(crypto::make_ca_request(wanted, *key)),
             FileAccess::everyone_reads, ExistingFile::replace);
  return {"Request:     " + request + ", for \"" + issuer.subject_name + "\", name and key",
          "Next:", "  Have it signed as a subordinate CA, with the key identifier that is in it.",
          "  By the root it has, to extend it: gatehouse init --import FILE… --directory " +
              backend.config().folder,
          "  By another root, to be served besides: the same with --alternate"};
}

std::vector<std::string> import_issuer(const ImportOptions& options, Clock& clock,
                                       Entropy& entropy) {
  const LocalBackend backend(config_in(options.directory), options.backend);
  const backends::IssuerFiles& issuer = backend.options().issuer;
  const bool waits = !fs::exists(backend.absolute(issuer.certificate));
  if (waits && options.alternate) {
    throw std::runtime_error(
        backend.absolute(issuer.certificate) +
        ": import the issuing CA's own certificate first, without --alternate");
  }
  // Certificates say whose they are: only while there is none does the key have to.
  const Bytes key =
      waits ? backend.key(issuer)->public_key() : backend.chain(issuer.certificate).front().spki;
  const crypto::Path path = read_issued(options.offered, key, request_of(backend), clock.now());
  if (options.alternate) return add_alternate(backend, path, clock, entropy);
  return waits ? take_over(backend, path, clock, entropy) : extend(backend, path, clock, entropy);
}

}  // namespace gatehouse::app
