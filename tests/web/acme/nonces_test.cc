#include "acme-server/web/acme/nonces.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "tests/support/seeded_entropy.h"

namespace gatehouse::web {
namespace {

using testing::SeededEntropy;

TEST_CASE("a nonce is taken once") {
  SeededEntropy entropy;
  Nonces nonces(entropy);
  const std::string first = nonces.issue();
  const std::string second = nonces.issue();
  CHECK(nonces.redeem(second));
  CHECK(nonces.redeem(first));
  CHECK_FALSE(nonces.redeem(first));
  CHECK_FALSE(nonces.redeem(second));
}

TEST_CASE("of a thousand tries with one nonce, at once, one is taken") {
  SeededEntropy entropy;
  Nonces nonces(entropy);
  constexpr int kThreads = 8;
  constexpr int kTries = 125;
  for (int round = 0; round < 20; ++round) {
    const std::string nonce = nonces.issue();
    std::atomic<int> waiting{kThreads};
    std::atomic<int> taken{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
          --waiting;
          while (waiting > 0) {
          }
          for (int n = 0; n < kTries; ++n) {
            taken += nonces.redeem(nonce) ? 1 : 0;
          }
        });
      }
    }
    CHECK(taken == 1);
  }
}

TEST_CASE("what was not issued is not taken") {
  SeededEntropy entropy;
  Nonces nonces(entropy);
  const std::string nonce = nonces.issue();
  const std::string texts[] = {"",
                               "bm9uY2U",
                               nonce.substr(1),
                               nonce.substr(0, 47),
                               nonce + "A",
                               nonce + "=",
                               " " + nonce.substr(1),
                               std::string(48, 'A'),
                               std::string(100'000, 'A')};
  for (const std::string& text : texts) {
    CHECK_FALSE(nonces.redeem(text));
  }
  // each bit of a good one turned over
  const Bytes good = base64url_decode(nonce).value();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes forged = good;
    forged[bit / 8] = static_cast<std::uint8_t>(forged[bit / 8] ^ (1U << bit % 8));
    CHECK_FALSE(nonces.redeem(base64url_encode(forged)));
  }
  CHECK(nonces.redeem(nonce));  // none of that used it up
}

TEST_CASE("a nonce of an earlier run of the process is not taken") {
  SeededEntropy entropy;
  Nonces before(entropy);
  const std::string old = before.issue();
  Nonces after(entropy);
  after.issue();
  CHECK_FALSE(after.redeem(old));
  CHECK(before.redeem(old));
}

TEST_CASE("the window is as long as it says, and forgets what leaves it") {
  constexpr std::size_t kWindow = 128;
  SeededEntropy entropy;
  Nonces nonces(entropy, kWindow);
  const std::string leaves = nonces.issue();
  const std::string stays = nonces.issue();
  const std::string used = nonces.issue();
  CHECK(nonces.redeem(used));
  for (std::size_t i = 0; i < kWindow - 2; ++i) {
    nonces.issue();
  }
  CHECK_FALSE(nonces.redeem(leaves));
  CHECK(nonces.redeem(stays));
  CHECK_FALSE(nonces.redeem(used));
  nonces.issue();
  nonces.issue();
  CHECK_FALSE(nonces.redeem(stays));
  CHECK_FALSE(nonces.redeem(used));  // its bit belongs to another by now
}

TEST_CASE("every nonce of several windows is taken once, used or not before its place came again") {
  constexpr std::size_t kWindow = 64;
  SeededEntropy entropy;
  Nonces nonces(entropy, kWindow);
  for (int i = 0; i < 1000; ++i) {
    const std::string nonce = nonces.issue();
    if (i % 3 != 0) {
      CHECK(nonces.redeem(nonce));
      CHECK_FALSE(nonces.redeem(nonce));
    }
  }
}

TEST_CASE("nonces are unlike, base64url and look random in every octet") {
  SeededEntropy entropy;
  Nonces nonces(entropy);
  std::set<std::string> seen;
  std::vector<int> ones(36 * 8);
  constexpr int kCount = 10'000;
  for (int i = 0; i < kCount; ++i) {
    const std::string nonce = nonces.issue();
    CHECK(nonce.size() == 48);
    CHECK(seen.insert(nonce).second);
    const Bytes octets = base64url_decode(nonce).value();
    for (std::size_t bit = 0; bit < ones.size(); ++bit) {
      ones[bit] += octets[bit / 8] >> bit % 8 & 1;
    }
  }
  // 5,000 ± 5 standard deviations of 50: the counter does not show through.
  for (const int count : ones) {
    CHECK(count > 4750);
    CHECK(count < 5250);
  }
}

}  // namespace
}  // namespace gatehouse::web
