// What `init --import` and `rotate-issuer` have in common: a local backend's files as the config
// names them, and certificates that another CA has handed out.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/path.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "config/config.h"

namespace gatehouse::app {

// A backend of type local in a config file. Every failure is a std::runtime_error that names the
// file or option.
class LocalBackend final {
 public:
  // `name` may be empty where there is only one.
  LocalBackend(const std::string& config_file, const std::string& name);

  const std::string& name() const { return name_; }

  const config::Config& config() const { return config_; }

  const backends::LocalCaOptions& options() const { return options_; }

  // A path of the config as the file system has it.
  std::string absolute(const std::string& path) const;

  std::vector<crypto::Certificate> chain(const std::string& path) const;
  std::unique_ptr<crypto::Signer> key(const backends::IssuerFiles& files) const;

  // The passphrase behind "env:…" or "file:…"; empty for an empty reference.
  Secret passphrase(const std::string& reference) const;

  std::string config_text() const;

  // Loads the backend as the server would, of the config `text`, and tries out what it would issue
  // (server/dry_run.h). `unwritten` are files, by absolute path, that are not there yet. Throws
  // what the server would say.
  void check(const std::string& text, const std::map<std::string, std::string>& unwritten,
             Clock& clock, Entropy& entropy) const;

  // Replaces the config file, durably.
  void write_config(const std::string& text) const;

 private:
  config::Config config_;
  std::string name_;
  backends::LocalCaOptions options_;
};

// What was handed over on the command line.
struct Offered {
  std::vector<std::string> files;   // PEM, DER or PKCS#7
  std::optional<std::string> root;  // the file with the root that is meant
};

// The issuing CA for `key` among `offered`, with the path to its root: it is a CA that may sign
// certificates and CRLs now, and everything above it holds, for OpenSSL too. Throws
// std::runtime_error: what is wrong, and whom to ask for what. `request` is the file that was to be
// signed.
crypto::Path read_issued(const Offered& offered, ByteView key, const std::string& request,
                         Instant now);

// Whether `certificate` itself is in one of the offered files.
bool is_among(const Offered& offered, const crypto::Certificate& certificate);

// What an issuer's file holds: the issuer first, its root left out.
std::string pem_of(const std::vector<crypto::Certificate>& chain);

// "AB:CD:…" of the SHA-256 of a certificate.
std::string fingerprint_of(const crypto::Certificate& certificate);

// A CA like `issuer`: its name, its key, what it permits; without serial, dates and issuer.
crypto::CertificateTemplate template_like(const crypto::Certificate& issuer);

// A private key encrypted with `passphrase`, unless that is empty.
Secret sealed(const Secret& key, const Secret& passphrase);

}  // namespace gatehouse::app
