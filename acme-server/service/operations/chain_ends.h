// CAs that end so soon that certificates under them are cut short, or are not issued at all.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/service/policy_options.h"
#include "ca-backends/backend.h"
#include "ca-backends/validity.h"

namespace gatehouse::service {

// The chain of the issuer in use of one backend, against the profiles that it issues for.
struct ChainEnd {
  std::string backend;
  backends::ChainLifetime chain;
  std::vector<std::string> cut;     // profiles whose certificates end with the chain
  std::vector<std::string> halted;  // profiles of which nothing is issued any more
};

// Of each backend that has an issuer and profiles. Safe from any thread.
std::vector<ChainEnd> chain_ends(const backends::BackendSet& backends, const Policy& policy,
                                 Instant now);

// Sentences for an operator, each with the CA that ends and what to do: what is cut short (a
// warning), and what is not issued any more (a reason not to be ready).
std::vector<std::string> print_cut(const std::vector<ChainEnd>& ends);
std::vector<std::string> print_halted(const std::vector<ChainEnd>& ends);

}  // namespace gatehouse::service
