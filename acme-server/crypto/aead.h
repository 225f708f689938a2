// AES-256-GCM with a key that lives as long as the object: for nonces.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/base/entropy.h"

namespace gatehouse::crypto {

// Seals and opens short messages under one random key that never leaves the process. Safe to call
// from many threads.
class Aead {
 public:
  explicit Aead(Entropy& entropy);
  ~Aead();
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // Ciphertext and 16-octet tag. `iv` must never be used twice with one Aead.
  Bytes seal(const std::array<std::uint8_t, 12>& iv, ByteView plaintext) const;
  // The plaintext, or nothing when it was not sealed by this object with this iv.
  std::optional<Bytes> open(const std::array<std::uint8_t, 12>& iv, ByteView sealed) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::crypto
