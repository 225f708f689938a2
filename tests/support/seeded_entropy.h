// SeededEntropy: the same octets for the same seed, so that a failure can be run again.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "acme-server/base/entropy.h"
#include "acme-server/base/guarded.h"

namespace gatehouse::testing {

// Safe to call from any thread; with several of them the order of their calls decides who gets
// what.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed = 1) : generator_(std::mt19937_64(seed)) {}

  void fill(std::span<std::uint8_t> out) override {
    generator_.with([&](std::mt19937_64& generator) {
      for (std::uint8_t& octet : out) {
        octet = static_cast<std::uint8_t>(generator() & 0xffU);
      }
    });
  }

 private:
  Guarded<std::mt19937_64> generator_;
};

}  // namespace gatehouse::testing
