#include "acme-server/crypto/key_policy.h"

#include <doctest/doctest.h>

#include <memory>

#include "acme-server/base/base64url.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/rsa_weakness.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using testing::TestKey;
using Kind = TestKey::Kind;

// Arithmetic for making weak moduli; the tests' own, on OpenSSL.
class Number {
 public:
  Number() : value_(BN_new(), BN_free) {}

  explicit Number(BN_ULONG word) : Number() { BN_set_word(value_.get(), word); }

  explicit Number(const Bytes& octets) : Number() {
    BN_bin2bn(octets.data(), static_cast<int>(octets.size()), get());
  }

  static Number power_of_two(int exponent) {
    Number result;
    BN_set_bit(result.get(), exponent);
    return result;
  }

  BIGNUM* get() const { return value_.get(); }

  Bytes bytes() const {
    Bytes octets(static_cast<std::size_t>(BN_num_bytes(get())));
    BN_bn2bin(get(), octets.data());
    return octets;
  }

  friend Number operator+(const Number& a, const Number& b) {
    Number sum;
    BN_add(sum.get(), a.get(), b.get());
    return sum;
  }

  friend Number operator*(const Number& a, const Number& b) {
    const std::unique_ptr<BN_CTX, void (*)(BN_CTX*)> context(BN_CTX_new(), BN_CTX_free);
    Number product;
    BN_mul(product.get(), a.get(), b.get(), context.get());
    return product;
  }

  friend Number operator/(const Number& a, const Number& b) {
    const std::unique_ptr<BN_CTX, void (*)(BN_CTX*)> context(BN_CTX_new(), BN_CTX_free);
    Number quotient;
    BN_div(quotient.get(), nullptr, a.get(), b.get(), context.get());
    return quotient;
  }

 private:
  std::shared_ptr<BIGNUM> value_;
};

// The first number from `start` on, odd, without a prime factor up to 751.
Number rough_from(Number start) {
  if (BN_is_odd(start.get()) == 0) start = start + Number(1);
  while (small_factor(start.bytes()) != 0) start = start + Number(2);
  return start;
}

Jwk rsa(Bytes modulus, Bytes exponent = {1, 0, 1}) {
  return {.type = KeyType::rsa,
          .modulus = std::move(modulus),
          .exponent = std::move(exponent),
          .x = {},
          .y = {}};
}

Jwk ed25519(std::string_view hex) {
  return {.type = KeyType::ed25519, .modulus = {}, .exponent = {}, .x = *hex_decode(hex), .y = {}};
}

void check_refused(const Jwk& key, std::string_view said, const KeyPolicy& policy = {}) {
  const auto why = why_refused(key, policy);
  REQUIRE(why);
  CAPTURE(*why);
  CAPTURE(said);
  CHECK(why->find(said) != std::string::npos);
}

TEST_CASE("good keys of every kind are accepted, and none that is not allowed") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519}) {
    for (const TestKey& client : {TestKey::fixed(kind), TestKey::generate(kind)}) {
      const Jwk key = *parse_jwk(client.jwk());
      CHECK_FALSE(why_refused(key, {}));
      KeyPolicy others;
      std::erase(others.allowed, key.type);
      check_refused(key, "not accepted", others);
    }
  }
}

TEST_CASE("RSA sizes: from the least to the most, whole octets") {
  const auto sized = [](int bits) {
    return rsa(rough_from(Number::power_of_two(bits - 1) + Number(12345)).bytes());
  };
  check_refused(sized(512), "512 bits");
  check_refused(sized(1024), "1024 bits");
  check_refused(sized(2047), "2047 bits");
  check_refused(sized(2049), "multiple of 8");
  check_refused(sized(4097), "4097 bits");
  check_refused(sized(8192), "8192 bits");
  check_refused(rsa({}), "0 bits");
  KeyPolicy strict;
  strict.rsa_min_bits = 3072;
  check_refused(*parse_jwk(TestKey::fixed(Kind::rsa2048).jwk()), "2048 bits", strict);
}

TEST_CASE("the RSA exponent is 65537") {
  const Bytes modulus =
      *base64url_decode(TestKey::fixed(Kind::rsa2048).jwk()["n"].get<std::string>());
  for (const Bytes& exponent : {Bytes{}, Bytes{1}, Bytes{2}, Bytes{3}, Bytes{17}, Bytes{1, 0, 0},
                                Bytes{1, 0, 2}, Bytes{1, 0, 3}, Bytes{1, 0, 0, 0, 1}}) {
    check_refused(rsa(modulus, exponent), "exponent");
  }
}

TEST_CASE("a modulus with a prime factor up to 751 is refused") {
  // A multiple of `factor` of 2048 bits that no smaller prime divides.
  for (const unsigned factor : {2U, 3U, 5U, 101U, 733U, 739U, 743U, 751U}) {
    const Number cofactor = rough_from(Number::power_of_two(2047) / Number(factor) + Number(98765));
    const Bytes modulus = (cofactor * Number(factor)).bytes();
    CHECK(small_factor(modulus) == factor);
    check_refused(rsa(modulus), "divisible by " + std::to_string(factor));
  }
  const Number above = rough_from(Number::power_of_two(2047) / Number(757) + Number(98765));
  CHECK(small_factor((above * Number(757)).bytes()) == 0);
}

TEST_CASE("ROCA's fingerprint is found, and in no good key") {
  Number product(1);
  for (const unsigned prime : {11U, 13U, 17U, 19U, 37U, 53U, 61U, 71U, 73U, 79U, 97U, 103U, 107U,
                               109U, 127U, 151U, 157U}) {
    product = product * Number(prime);
  }
  // 65537 plus a multiple of every one of the primes is 65537 modulo each.
  Number multiple = Number::power_of_two(2047) / product + Number(1);
  Number modulus = multiple * product + Number(65537);
  while (small_factor(modulus.bytes()) != 0) {
    multiple = multiple + Number(1);
    modulus = multiple * product + Number(65537);
  }
  CHECK(has_roca_fingerprint(modulus.bytes()));
  check_refused(rsa(modulus.bytes()), "ROCA");
  CHECK_FALSE(has_roca_fingerprint((modulus + Number(2)).bytes()));
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(has_roca_fingerprint(parse_jwk(TestKey::generate(Kind::rsa2048).jwk())->modulus));
  }
}

TEST_CASE("primes too close together are found within the rounds, and no later") {
  const Number p =
      rough_from(Number::power_of_two(1023) + Number::power_of_two(1022) + Number(4711));
  // (q - p)^2 / 8p is about the number of rounds Fermat's method takes.
  const auto modulus = [&](int gap_bits) {
    return (p * rough_from(p + Number::power_of_two(gap_bits))).bytes();
  };
  CHECK(has_close_primes((p * p).bytes(), 110));
  CHECK(has_close_primes(modulus(20), 1));
  CHECK(has_close_primes(modulus(512), 1));
  CHECK(has_close_primes(modulus(516), 110));  // some 42 rounds
  CHECK_FALSE(has_close_primes(modulus(516), 10));
  CHECK_FALSE(has_close_primes(modulus(518), 110));  // some 680 rounds
  CHECK(has_close_primes(modulus(518), 1000));
  check_refused(rsa(modulus(516)), "close together");
  check_refused(rsa((p * p).bytes()), "close together");
}

TEST_CASE("points off their curve are refused, in keys that were never parsed too") {
  Jwk key = *parse_jwk(TestKey::fixed(Kind::p256).jwk());
  key.y.back() ^= 1U;
  check_refused(key, "point");
  key.y.clear();
  check_refused(key, "point");
  check_refused(
      {.type = KeyType::ec_p384, .modulus = {}, .exponent = {}, .x = Bytes(48), .y = Bytes(48)},
      "point");
  check_refused(ed25519("0200000000000000000000000000000000000000000000000000000000000000"),
                "point");
  check_refused(ed25519("02"), "point");
}

TEST_CASE("Ed25519 points of small order are refused in each of their encodings") {
  for (const char* hex : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000080",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       }) {
    CAPTURE(std::string(hex));
    check_refused(ed25519(hex), "small order");
  }
}

TEST_CASE("the hash of a policy changes with every field") {
  const std::string plain = hash_of({});
  KeyPolicy fewer;
  fewer.allowed.pop_back();
  KeyPolicy larger;
  larger.rsa_min_bits = 3072;
  KeyPolicy wider;
  wider.rsa_max_bits = 8192;
  KeyPolicy longer;
  longer.fermat_rounds = 111;
  for (const KeyPolicy& policy : {fewer, larger, wider, longer}) CHECK(hash_of(policy) != plain);
  CHECK(hash_of({}) == plain);
  CHECK(plain.size() == 64);
}

}  // namespace
}  // namespace gatehouse::crypto
