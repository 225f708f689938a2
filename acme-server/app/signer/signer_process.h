// SignerProcess: a signer that the server starts itself, and starts again when it dies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "ca-backends/registry.h"
#include "config/config.h"

namespace gatehouse::app {

// How a backend reads files, keys and secrets: paths relative to the config's folder.
backends::BackendContext key_context(const config::Config& config, Clock& clock, Entropy& entropy,
                                     Log& log);

// The names of the backends whose signers the server starts.
std::vector<std::string> spawned_signers(const config::Config& config);

// Runs `gatehouse signer` from its construction to its destruction: one child at a time, after one
// that ended the next, at first at once, then with pauses that grow to half a minute. The child
// ends with this process, however that ends.
class SignerProcess final {
 public:
  SignerProcess(const config::Config& config, const std::string& backend, Log& log);
  ~SignerProcess();
  SignerProcess(const SignerProcess&) = delete;
  SignerProcess& operator=(const SignerProcess&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::app
