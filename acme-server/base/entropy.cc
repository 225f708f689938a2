#include "acme-server/base/entropy.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <system_error>

#include "acme-server/base/base64url.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"

namespace gatehouse {

void OsEntropy::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw std::system_error(errno, std::generic_category(), "getrandom gives no random octets");
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::string random_token(Entropy& entropy) {
  std::array<std::uint8_t, 32> octets{};
  entropy.fill(octets);
  return base64url_encode(octets);
}

std::string random_row_id(Entropy& entropy, Instant now) {
  ACME_CHECK(to_unix(now) >= 0);
  constexpr std::size_t kTimeOctets = 6;
  constexpr std::size_t kRandomOctets = 16;
  std::array<std::uint8_t, kTimeOctets + kRandomOctets> octets{};
  auto milliseconds =
      static_cast<std::uint64_t>(std::chrono::milliseconds(now.time_since_epoch()).count());
  for (std::size_t i = kTimeOctets; i-- > 0;) {
    octets[i] = static_cast<std::uint8_t>(milliseconds & 0xff);
    milliseconds >>= 8;
  }
  entropy.fill(std::span(octets).subspan(kTimeOctets));
  return base64url_encode(octets);
}

std::uint64_t random_below(Entropy& entropy, std::uint64_t bound) {
  ACME_CHECK(bound >= 1);
  // The top 2^64 mod `bound` numbers would make the small remainders likelier: draw again for
  // those.
  const std::uint64_t excess = (std::uint64_t{0} - bound) % bound;
  const std::uint64_t last = std::numeric_limits<std::uint64_t>::max() - excess;
  for (;;) {
    std::array<std::uint8_t, sizeof(std::uint64_t)> octets{};
    entropy.fill(octets);
    std::uint64_t number = 0;
    for (const std::uint8_t octet : octets) {
      number = number << 8 | octet;
    }
    if (number <= last) {
      return number % bound;
    }
  }
}

}  // namespace gatehouse
