#include "ca-backends/backend.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"

namespace gatehouse::backends {

void BackendSet::add(Backend backend) {
  ACME_CHECK(backend.certificates != nullptr);
  const std::string name = backend.name;
  ACME_CHECK(backends_.emplace(name, std::move(backend)).second);
}

Backend* BackendSet::find(std::string_view name) {
  const auto found = backends_.find(name);
  return found == backends_.end() ? nullptr : &found->second;
}

const Backend* BackendSet::find(std::string_view name) const {
  const auto found = backends_.find(name);
  return found == backends_.end() ? nullptr : &found->second;
}

std::vector<Backend*> BackendSet::all() {
  std::vector<Backend*> every;
  for (auto& [name, backend] : backends_) every.push_back(&backend);
  return every;
}

std::vector<const Backend*> BackendSet::all() const {
  std::vector<const Backend*> every;
  for (const auto& [name, backend] : backends_) every.push_back(&backend);
  return every;
}

void BackendSet::keep(KeptIssuers kept) {
  kept_->with([&](KeptIssuers& held) { held = std::move(kept); });
}

std::vector<IssuersSnapshot> BackendSet::known_issuers() const {
  std::vector<IssuersSnapshot> known;
  for (const Backend* backend : all()) known.push_back(backend->certificates->issuers());
  kept_->with([&](const KeptIssuers& held) {
    for (const auto& [name, issuers] : held) known.push_back(issuers);
  });
  return known;
}

std::vector<IssuersSnapshot> BackendSet::known_issuers(std::string_view name) const {
  std::vector<IssuersSnapshot> known;
  if (const Backend* backend = find(name)) known.push_back(backend->certificates->issuers());
  kept_->with([&](const KeptIssuers& held) {
    const auto found = held.find(name);
    if (found != held.end()) known.push_back(found->second);
  });
  return known;
}

}  // namespace gatehouse::backends
