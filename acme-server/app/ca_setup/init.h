// `gatehouse init` and `gatehouse root crl`: a CA of one's own, and the upkeep of its root.
//
// The root's key signs the issuing CA and the root's CRL and nothing else; the server never needs
// it, so it belongs on a medium that is offline. Both functions run on the operator's machine,
// without server, store or network.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/secret.h"
#include "acme-server/core/revocation_reason.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::app {

// A sentence when others than its owner can read a private key's file.
using gatehouse::key_file_problem;

inline constexpr std::chrono::hours kDay{24};

struct InitOptions {
  std::string directory;   // where gatehouse.json and ca/ go; made when missing
  std::string base_url;    // "https://acme.corp.example", as clients reach the server
  std::string public_url;  // empty: http and base_url's host
  // Where the database and the listeners' keys go, if not into `directory`: made when missing.
  std::string data;
  bool systemd = false;                    // the listeners are the sockets of the package's units
  std::string organization = "Gatehouse";  // of both subjects, at most 64 characters
  std::string root_name;  // common names; empty: organization + " Root CA", " Issuing CA"
  std::string issuer_name;
  // Of a request, in place of organization and issuer_name: "C=DE, O=Corp, CN=Corp Issuing CA".
  std::string subject;
  crypto::NewKey root_key = crypto::NewKey::p384;
  crypto::NewKey issuer_key = crypto::NewKey::p256;
  std::chrono::seconds root_validity = 20 * 365 * kDay;
  std::chrono::seconds issuer_validity = 5 * 365 * kDay;
  std::chrono::seconds root_crl_lifetime = 365 * kDay;
  std::vector<std::string>
      permitted_dns;  // name constraints of the issuing CA: "corp.example" and all below
  std::vector<std::string> permitted_ip;  // CIDR
  // Encrypts the issuing CA's key. The reference, "env:NAME", "file:path" or "credential:NAME",
  // goes into the config for the server.
  Secret issuer_passphrase;
  std::string issuer_passphrase_reference;
  Secret root_passphrase;  // encrypts the root's key; empty: the issuing CA's passphrase, if any
};

struct InitResult {
  std::string config_file, ca_directory;
  std::string root_fingerprint;  // SHA-256 of the certificate, "AB:CD:…"
  std::string public_url;
  std::vector<std::string> lines;  // what to print
};

// Makes ca/root.{pem,key,crl}, ca/issuer.{pem,key} and gatehouse.json. All or nothing: where any of
// it exists, or cannot be written, nothing is left behind. Throws std::runtime_error that names the
// option or the path.
InitResult init(const InitOptions& options, Clock& clock, Entropy& entropy);

struct RootCrlOptions {
  std::string directory;  // the folder with ca/ in it
  std::string root_key;   // where the root's key is now; empty: ca/root.key
  Secret passphrase;
  std::vector<std::string>
      revoke;                  // serials in hex of CAs under the root, to be revoked from now on
  int reason = kCaCompromise;  // of those serials (RFC 5280 section 5.3.1)
  std::chrono::seconds lifetime = 365 * kDay;
};

struct RootCrlResult {
  std::string file;
  std::int64_t number = 0;
  Instant next_update;
  std::size_t entries = 0;
  std::vector<std::string> lines;  // what to print
};

// Replaces ca/root.crl by one with a higher number: what was revoked stays so, `revoke` is added. A
// running server serves it within a minute. Throws std::runtime_error that names the file; the old
// CRL is in place then.
RootCrlResult renew_root_crl(const RootCrlOptions& options, Clock& clock);

}  // namespace gatehouse::app
