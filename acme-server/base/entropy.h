// Randomness, and the identifiers made of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "acme-server/base/clock.h"

namespace gatehouse {

// A source of unpredictable octets. Safe to call from any thread. Throws std::runtime_error when it
// has none.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

// The operating system's generator, getrandom(2).
class OsEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// A wholly random token of 256 bits, base64url, 43 characters: RFC 8555 section 8.1 asks for 128
// bits or more.
std::string random_token(Entropy& entropy);

// The id of a row: 48 bits of `now` in milliseconds, then 128 random bits, base64url, 30
// characters. Ids made about the same time stand together in an index; the random part keeps URLs
// unguessable (RFC 8555 section 10.5).
std::string random_row_id(Entropy& entropy, Instant now);

// A number in [0, bound), without bias. `bound` is at least 1. For jitter.
std::uint64_t random_below(Entropy& entropy, std::uint64_t bound);

}  // namespace gatehouse
