#include "acme-server/service/operations/chain_ends.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/policy_options.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/validity.h"

namespace gatehouse::service {
namespace {

void judge(const Profile& profile, const std::string& name, Instant now, ChainEnd& end) {
  const auto left = end.chain.not_after - now;
  if (left < backends::minimum_validity_of(profile)) {
    end.halted.push_back(name);
  } else if (left < profile.validity) {
    end.cut.push_back(name);
  }
}

std::string begin_of(const ChainEnd& end) {
  return "backend " + end.backend + ": " + backends::describe(end.chain) + " ends at " +
         to_rfc3339(end.chain.not_after) + ", and ";
}

std::string rest_of(const ChainEnd& end, const std::vector<std::string>& profiles) {
  return join(profiles, ", ") + "; " + backends::remedy_for(end.chain.ends_first);
}

}  // namespace

std::vector<ChainEnd> chain_ends(const backends::BackendSet& backends, const Policy& policy,
                                 Instant now) {
  std::vector<ChainEnd> ends;
  for (const backends::Backend* backend : backends.all()) {
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    if (issuers->in_use() == nullptr) continue;
    ChainEnd end{.backend = backend->name,
                 .chain = backends::lifetime_of(*issuers->in_use()),
                 .cut = {},
                 .halted = {}};
    for (const auto& [directory_name, directory] : policy.directories) {
      const std::string before = policy.directories.size() == 1 ? "" : directory_name.str() + "/";
      for (const auto& [name, profile] : directory.profiles) {
        if (profile.backend == backend->name) judge(profile, before + name, now, end);
      }
    }
    ends.push_back(std::move(end));
  }
  return ends;
}

std::vector<std::string> print_cut(const std::vector<ChainEnd>& ends) {
  std::vector<std::string> sentences;
  for (const ChainEnd& end : ends) {
    if (end.cut.empty()) continue;
    sentences.push_back(begin_of(end) + "so do certificates of profile " + rest_of(end, end.cut));
  }
  return sentences;
}

std::vector<std::string> print_halted(const std::vector<ChainEnd>& ends) {
  std::vector<std::string> sentences;
  for (const ChainEnd& end : ends) {
    if (end.halted.empty()) continue;
    sentences.push_back(begin_of(end) + "nothing is issued any more of profile " +
                        rest_of(end, end.halted));
  }
  return sentences;
}

}  // namespace gatehouse::service
