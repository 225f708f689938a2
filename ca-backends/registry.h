// Type name -> factory: one line per kind of backend.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/backend.h"

namespace gatehouse::backends {

// What a backend is made from besides its own options. References outlive the backend.
struct BackendContext {
  Clock& clock;
  Entropy& entropy;
  Log& log;
  std::string
      public_url;  // where CDP and AIA point: "http://pki.corp.example", without a slash at the end
  std::function<std::string(const std::string& path)> read_file;  // throws, naming the path
  std::function<std::string(const std::string& path)>
      read_key_file;  // as read_file; refuses a key that others can read
  std::function<Secret(const std::string& reference)> resolve_secret;  // "file:…", "env:…"
  std::function<std::unique_ptr<crypto::Signer>(std::unique_ptr<crypto::Signer>)>
      decorate_signer;  // identity but in tests
  // What paths in options are relative to, and where a backend keeps what it makes itself.
  std::string config_folder = {}, data_directory = {};
  // What a backend has read and verified of its own is known to who looks at it again.
  std::shared_ptr<crypto::ChainChecker> chains = std::make_shared<crypto::ChainChecker>();
};

// Makes the backend called `name` from its own JSON object, whose "type" picks the factory. Throws
// JsonError naming the option (unknown type, unknown field, wrong range) or std::runtime_error
// naming the file (missing, not a key, key and certificate do not match, chain does not verify).
Backend make_backend(const std::string& name, const JsonObject& options,
                     const BackendContext& context);

// The CRLs that the backend would make, by its certificates' files alone: no key is opened. Throws
// as make_backend() does.
std::vector<CrlShard> crls_of_backend(const JsonObject& options, const BackendContext& context);

// The same checks of the options alone, nothing opened: for check-config.
void check_backend_options(const JsonObject& options);

}  // namespace gatehouse::backends
