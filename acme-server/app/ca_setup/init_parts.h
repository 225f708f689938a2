// What the ways of `gatehouse init` have in common: options checked, the folder laid out, the
// config.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/files.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/url.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::app {

inline constexpr std::chrono::hours kBackdate{1};  // for clients whose clock is behind

// What init is asked for, once it is known to make sense.
struct Plan {
  Url base;
  Url public_url;
  std::string root_name, issuer_name;
  Bytes issuer_subject;  // DER; empty: of the organization and issuer_name
  std::string config_file, ca, staging;
  std::string data;  // absolute; empty: beside the config
};

// Checks everything that can be checked before anything is made. Throws std::runtime_error that
// names the option or the path.
Plan plan_of(const InitOptions& options);

// A CA certificate's template, but for who signs it.
crypto::CertificateTemplate ca_template(const std::string& name, const std::string& organization,
                                        const crypto::Signer& key, std::chrono::seconds validity,
                                        Instant now, Entropy& entropy);

// The certificate of `ca`, read back.
crypto::Certificate sign_ca(const crypto::CertificateTemplate& ca, crypto::Signer& signer);

enum class RootOf { ours, company };

// The text of gatehouse.json. Of a company's root the CRL is the company's business.
std::string config_text(const InitOptions& options, const Plan& plan, RootOf root);

struct NewFile {
  std::string name;  // in ca/
  std::string content;
  FileAccess access = FileAccess::owner_only;
};

// Loads what is about to be written as the server would, and tries out what it would issue
// (server/dry_run.h). `files` hold the issuer and its root; `passphrase` is the issuer's. Throws
// what the server would say.
void try_out(const Plan& plan, const std::string& config, const std::vector<NewFile>& files,
             const Secret& passphrase, Clock& clock, Entropy& entropy);

// Makes ca/ and the config, all or nothing.
void make_installation(const Plan& plan, const std::string& config,
                       const std::vector<NewFile>& files);

}  // namespace gatehouse::app
