#include "acme-server/base/entropy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/check.h"

namespace gatehouse {
namespace {

// Hands out the octets it was given, in order, and has no more then.
class ScriptedEntropy final : public Entropy {
 public:
  explicit ScriptedEntropy(Bytes octets) : octets_(std::move(octets)) {}

  void fill(std::span<std::uint8_t> out) override {
    if (out.size() > octets_.size() - used_) {
      throw std::runtime_error("the script of random octets is at its end");
    }
    std::copy_n(octets_.begin() + static_cast<std::ptrdiff_t>(used_), out.size(), out.begin());
    used_ += out.size();
  }

  std::size_t used() const { return used_; }

 private:
  Bytes octets_;
  std::size_t used_ = 0;
};

Bytes counting(std::size_t length) {
  Bytes octets(length);
  for (std::size_t i = 0; i < length; ++i) {
    octets[i] = static_cast<std::uint8_t>(i);
  }
  return octets;
}

TEST_CASE("the system's entropy fills all it is given, also more than one call gives") {
  OsEntropy entropy;
  Bytes large(100000, 0);
  entropy.fill(large);
  // Of 100,000 random octets each value is missing with probability (255/256)^100000, about 1e-170.
  for (unsigned value = 0; value < 256; ++value) {
    REQUIRE(std::ranges::find(large, static_cast<std::uint8_t>(value)) != large.end());
  }
  CHECK(std::ranges::any_of(large.end() - 64, large.end(),
                            [](std::uint8_t octet) { return octet != 0; }));
  entropy.fill({});
}

TEST_CASE("a token is 256 random bits in 43 letters") {
  ScriptedEntropy entropy(counting(32));
  CHECK(random_token(entropy) == base64url_encode(counting(32)));
  CHECK(entropy.used() == 32);
  OsEntropy real;
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) {
    tokens.insert(random_token(real));
  }
  CHECK(tokens.size() == 1000);
  CHECK(tokens.begin()->size() == 43);
}

TEST_CASE("a row id is the time, then 128 random bits") {
  ScriptedEntropy entropy(counting(16));
  const Instant now = from_unix(1795339800);
  const std::string id = random_row_id(entropy, now);
  CHECK(id.size() == 30);
  CHECK(entropy.used() == 16);
  const auto octets = base64url_decode(id);
  REQUIRE(octets);
  REQUIRE(octets->size() == 22);
  std::int64_t milliseconds = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    milliseconds = milliseconds << 8 | (*octets)[i];
  }
  CHECK(milliseconds == 1795339800000);
  CHECK(Bytes(octets->begin() + 6, octets->end()) == counting(16));
}

TEST_CASE("row ids of one second begin alike and differ") {
  OsEntropy entropy;
  const Instant now = from_unix(1795339800);
  const std::string a = random_row_id(entropy, now);
  const std::string b = random_row_id(entropy, now);
  CHECK(a != b);
  CHECK(a.substr(0, 8) == b.substr(0, 8));
  CHECK_THROWS_AS(random_row_id(entropy, from_unix(-1)), LogicError);
}

Bytes big_endian(std::uint64_t number) {
  Bytes octets(8);
  for (std::size_t i = 8; i-- > 0; number >>= 8) {
    octets[i] = static_cast<std::uint8_t>(number & 0xff);
  }
  return octets;
}

TEST_CASE("random_below stays below its bound and draws again where it would be biased") {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  const auto drawn = [](std::vector<std::uint64_t> numbers, std::uint64_t bound) {
    Bytes script;
    for (const std::uint64_t number : numbers) {
      const Bytes octets = big_endian(number);
      script.insert(script.end(), octets.begin(), octets.end());
    }
    ScriptedEntropy entropy(script);
    const std::uint64_t result = random_below(entropy, bound);
    CHECK(entropy.used() == script.size());
    return result;
  };
  CHECK(drawn({0}, 1) == 0);
  CHECK(drawn({kMax}, 1) == 0);
  CHECK(drawn({kMax}, 256) == 255);  // 2^64 is a multiple of it: no draw is lost
  CHECK(drawn({kMax, 7}, 10) == 7);  // 2^64 mod 10 = 6: the six topmost are drawn again
  CHECK(drawn({kMax - 5, 8}, 10) == 8);
  CHECK(drawn({kMax - 6}, 10) == 9);
  CHECK(drawn({kMax - 1}, kMax) == kMax - 1);
  CHECK(drawn({kMax, 3}, kMax) == 3);
  ScriptedEntropy none({});
  CHECK_THROWS_AS(random_below(none, 0), LogicError);
  CHECK_THROWS_AS(random_below(none, 2), std::runtime_error);
}

TEST_CASE("random_below reaches every number below a small bound") {
  OsEntropy entropy;
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) {
    ++seen.at(static_cast<std::size_t>(random_below(entropy, seen.size())));
  }
  // 1,000 each on average; 14 standard deviations to either side.
  CHECK(std::ranges::all_of(seen, [](int count) { return count > 600 && count < 1400; }));
}

}  // namespace
}  // namespace gatehouse
