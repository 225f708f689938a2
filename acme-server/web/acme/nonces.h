// Anti-replay nonces (RFC 8555 section 6.5): issuing one stores nothing, redeeming one sets a bit.
//
// A nonce is a counter sealed with AES-256-GCM under a key made when the object is made, so that
// only nonces of this object open, and no two runs of a process share any. A bitmap of the last
// `window` counters says which were redeemed; older ones are refused. Safe to call from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/entropy.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/aead.h"

namespace gatehouse::web {

class Nonces {
 public:
  // 1 MiB of bits: at 1,000 responses a second a client has more than two hours to use its nonce.
  static constexpr std::size_t kWindow = std::size_t{1} << 23;

  // `entropy` outlives the object. `window` is a multiple of 64.
  explicit Nonces(Entropy& entropy, std::size_t window = kWindow);

  // 48 characters of base64url, unpredictable and unlike any other.
  std::string issue();

  // True once for each nonce that issue() gave, as long as fewer than `window` were issued after
  // it; false for anything else.
  bool redeem(std::string_view nonce);

 private:
  struct Window {
    std::uint64_t next = 0;           // the counter of the next nonce
    std::vector<std::uint64_t> used;  // bit `counter % window`
  };

  Entropy& entropy_;
  crypto::Aead aead_;
  std::size_t size_;
  Guarded<Window> window_;
};

}  // namespace gatehouse::web
