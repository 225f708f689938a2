// KeyCache: account keys ready to verify with. Making one from its numbers costs a third of a
// verification.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "acme-server/base/guarded.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::web {

// By thumbprint, which says everything about a key, so an entry never goes stale; who may use the
// key is looked up each time. Bounded: two generations, the older of which is dropped when the
// younger is full. Safe from any thread.
class KeyCache {
 public:
  struct Key {
    crypto::KeyType type = crypto::KeyType::ec_p256;
    crypto::PublicKeyRef key;
  };

  static constexpr std::size_t kGeneration = 8192;  // about 2 KiB a key: at most 32 MiB

  explicit KeyCache(std::size_t generation = kGeneration) : generation_(generation) {}

  std::optional<Key> find(const std::string& thumbprint) {
    return generations_.with([&](Generations& g) -> std::optional<Key> {
      if (const auto young = g.young.find(thumbprint); young != g.young.end()) {
        return young->second;
      }
      const auto old = g.old.find(thumbprint);
      if (old == g.old.end()) {
        return std::nullopt;
      }
      Key key = old->second;
      insert(g, thumbprint, key);
      return key;
    });
  }

  void put(const std::string& thumbprint, Key key) {
    generations_.with([&](Generations& g) { insert(g, thumbprint, std::move(key)); });
  }

 private:
  using Map = std::unordered_map<std::string, Key>;

  struct Generations {
    Map young, old;
  };

  void insert(Generations& g, const std::string& thumbprint, Key key) const {
    if (g.young.size() >= generation_) {
      g.old = std::exchange(g.young, {});
    }
    g.young.insert_or_assign(thumbprint, std::move(key));
  }

  std::size_t generation_;
  Guarded<Generations> generations_;
};

}  // namespace gatehouse::web
