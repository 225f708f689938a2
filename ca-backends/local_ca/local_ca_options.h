// The local CA's own part of the config: {"type": "local", …}.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::backends {

// More shards than this and the jobs that sign them cost more than the smaller CRLs save.
inline constexpr int kMaxCrlShards = 256;

// The keys are in a process of their own (signer/), which reads them; this one does not.
struct SignerOptions {
  std::string socket;  // where it listens; empty with `spawn`
  bool spawn = false;  // the server starts it, and again when it ends
  // The user that the server runs as, where the signer has a user of its own: the signer answers
  // this one and its own. Empty: its own alone.
  std::string server_user = {};

  friend bool operator==(const SignerOptions&, const SignerOptions&) = default;
};

// An issuing CA in files. Paths are handed to BackendContext as they are written.
struct IssuerFiles {
  std::string
      certificate;  // PEM: the issuer, then its chain up to the root; the root itself may follow
  std::string key;  // PEM private key, readable by its owner alone; may be empty with a signer that
                    // another config starts
  std::string passphrase;  // "env:…" or "file:…"; empty: the key is not encrypted
};

struct LocalCaOptions {
  IssuerFiles issuer;
  std::string root;      // PEM
  std::string root_crl;  // DER, made by `gatehouse root crl`; empty: the root has none
  int crl_shards = 1;    // may grow; a smaller number would orphan the CRLs of issued certificates
  std::vector<IssuerFiles>
      previous;  // issuers before this one: they sign their CRLs and finish what they began
  std::optional<SignerOptions> signer;  // of all the keys here; none: this process signs
  std::vector<std::string> alternates;  // PEM chains for the same issuing key under other roots
};

// Throws JsonError naming the option.
LocalCaOptions read_local_ca_options(const JsonObject& options);

// Whether `options` are a local CA's and have the server start its signer. For the options of any
// backend: false for those of another type. Throws JsonError.
bool spawns_local_signer(const JsonObject& options);

void check_local_ca_options(const JsonObject& options);

}  // namespace gatehouse::backends
