// The rules in force, as one immutable snapshot that a reload swaps.
#pragma once

#include <memory>
#include <utility>

#include "acme-server/base/guarded.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::service {

// The snapshot in force. Safe from any thread; who holds a snapshot keeps it while it works.
class PolicyInForce {
 public:
  explicit PolicyInForce(Policy policy)
      : policy_(std::make_shared<const Policy>(std::move(policy))) {}

  std::shared_ptr<const Policy> get() const {
    return policy_.with([](const auto& policy) { return policy; });
  }

  // One directory's rules, of the snapshot in force; nullptr when there is no such directory.
  std::shared_ptr<const Directory> find(const DirectoryId& name) const;

  // The same for what the store holds; see Policy::directory().
  std::shared_ptr<const Directory> directory(const DirectoryId& name) const;

  void replace(Policy policy) {
    auto next = std::make_shared<const Policy>(std::move(policy));
    policy_.with([&](auto& current) { current = std::move(next); });
  }

 private:
  Guarded<std::shared_ptr<const Policy>> policy_;
};

}  // namespace gatehouse::service
