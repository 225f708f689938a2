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

}  // namespace gatehouse::backends
