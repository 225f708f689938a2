#include "acme-server/web/acme/nonces.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/entropy.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kIvBytes = 12;
constexpr std::size_t kCounterBytes = 8;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kNonceBytes = kIvBytes + kCounterBytes + kTagBytes;
constexpr std::size_t kNonceLength = kNonceBytes / 3 * 4;
constexpr std::size_t kWordBits = 64;

using Iv = std::array<std::uint8_t, kIvBytes>;

std::array<std::uint8_t, kCounterBytes> to_octets(std::uint64_t counter) {
  std::array<std::uint8_t, kCounterBytes> octets{};
  for (std::uint8_t& octet : octets) {
    octet = static_cast<std::uint8_t>(counter);
    counter >>= 8U;
  }
  return octets;
}

std::uint64_t from_octets(ByteView octets) {
  std::uint64_t counter = 0;
  for (std::size_t i = octets.size(); i-- > 0;) {
    counter = counter << 8U | octets[i];
  }
  return counter;
}

}  // namespace

Nonces::Nonces(Entropy& entropy, std::size_t window)
    : entropy_(entropy), aead_(entropy), size_(window) {
  ACME_CHECK(window > 0 && window % kWordBits == 0);
  window_.with([&](Window& w) { w.used.resize(window / kWordBits); });
}

std::string Nonces::issue() {
  const std::uint64_t counter = window_.with([&](Window& w) {
    const std::uint64_t bit = w.next % size_;
    w.used[bit / kWordBits] &= ~(std::uint64_t{1} << bit % kWordBits);
    return w.next++;
  });
  // A random iv rather than one made of the counter: the nonce then tells nobody how many went
  // before it, and a copy of a running virtual machine does not repeat those of the other.
  Iv iv{};
  entropy_.fill(iv);
  Bytes nonce(iv.begin(), iv.end());
  const Bytes sealed = aead_.seal(iv, to_octets(counter));
  nonce.insert(nonce.end(), sealed.begin(), sealed.end());
  return base64url_encode(nonce);
}

bool Nonces::redeem(std::string_view nonce) {
  if (nonce.size() != kNonceLength) {
    return false;
  }
  const std::optional<Bytes> octets = base64url_decode(nonce);
  if (!octets) {
    return false;
  }
  Iv iv{};
  std::copy_n(octets->begin(), kIvBytes, iv.begin());
  const std::optional<Bytes> opened = aead_.open(iv, ByteView(*octets).subspan(kIvBytes));
  if (!opened || opened->size() != kCounterBytes) {
    return false;
  }
  const std::uint64_t counter = from_octets(*opened);
  return window_.with([&](Window& w) {
    if (counter >= w.next || w.next - counter > size_) {
      return false;
    }
    std::uint64_t& word = w.used[counter % size_ / kWordBits];
    const std::uint64_t mask = std::uint64_t{1} << counter % kWordBits;
    const bool fresh = (word & mask) == 0;
    word |= mask;
    return fresh;
  });
}

}  // namespace gatehouse::web
