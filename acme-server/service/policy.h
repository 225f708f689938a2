// The rules in force, as one immutable snapshot that a reload swaps.
#pragma once

#include <memory>
#include <utility>

#include "acme-server/base/guarded.h"
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

  void replace(Policy policy) {
    auto next = std::make_shared<const Policy>(std::move(policy));
    policy_.with([&](auto& current) { current = std::move(next); });
  }

 private:
  Guarded<std::shared_ptr<const Policy>> policy_;
};

}  // namespace gatehouse::service
