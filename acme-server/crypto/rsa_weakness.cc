#include "acme-server/crypto/rsa_weakness.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

constexpr unsigned kLargestSmallPrime = 751;

constexpr bool is_prime(unsigned candidate) {
  if (candidate < 2) return false;
  for (unsigned divisor = 2; divisor * divisor <= candidate; ++divisor) {
    if (candidate % divisor == 0) return false;
  }
  return true;
}

// The primes of Nemec et al., "The Return of Coppersmith's Attack", that tell Infineon's keys from
// others.
constexpr std::array<unsigned, 17> kRocaPrimes = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                                  79, 97, 103, 107, 109, 127, 151, 157};

// True when `residue` is a power of 65537 modulo `prime`.
bool is_power_of_65537(unsigned residue, unsigned prime) {
  unsigned power = 1;
  do {
    if (power == residue) return true;
    power = power * (65537 % prime) % prime;
  } while (power != 1);
  return false;
}

// residues<M>()[r]: r is a square modulo M.
template <unsigned M>
constexpr std::array<bool, M> residues() {
  std::array<bool, M> squares{};
  for (unsigned i = 0; i < M; ++i) squares[i * i % M] = true;
  return squares;
}

constexpr auto kSquares64 = residues<64>();
constexpr auto kSquares63 = residues<63>();
constexpr auto kSquares65 = residues<65>();
constexpr auto kSquares11 = residues<11>();
constexpr BN_ULONG kSquareModuli = 64UL * 63 * 65 * 11;

// Numbers modulo which a square is recognised: all but one non-square in a hundred end here,
// without a square root.
bool may_be_square(const BIGNUM* number) {
  const BN_ULONG rest = BN_mod_word(number, kSquareModuli);
  return kSquares64.at(rest % 64) && kSquares63.at(rest % 63) && kSquares65.at(rest % 65) &&
         kSquares11.at(rest % 11);
}

BignumHandle new_bignum() {
  return require_handle(BignumHandle(BN_new()), "calculating");
}

BignumHandle read(ByteView octets) {
  return require_handle(
      BignumHandle(BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr)),
      "reading a modulus");
}

// The integer square root, rounded down, by Newton's method from above.
BignumHandle square_root(const BIGNUM* number, BN_CTX* context) {
  BignumHandle root = new_bignum();
  const BignumHandle next = new_bignum();
  require_openssl(BN_set_bit(root.get(), (BN_num_bits(number) + 1) / 2) == 1, "calculating");
  for (;;) {
    require_openssl(BN_div(next.get(), nullptr, number, root.get(), context) == 1 &&
                        BN_add(next.get(), next.get(), root.get()) == 1 &&
                        BN_rshift1(next.get(), next.get()) == 1,
                    "calculating");
    if (BN_cmp(next.get(), root.get()) >= 0) return root;
    BN_swap(root.get(), next.get());
  }
}

bool is_square(const BIGNUM* number, BN_CTX* context) {
  if (!may_be_square(number)) return false;
  const BignumHandle root = square_root(number, context);
  require_openssl(BN_sqr(root.get(), root.get(), context) == 1, "calculating");
  return BN_cmp(root.get(), number) == 0;
}

}  // namespace

unsigned small_factor(ByteView modulus) {
  const BignumHandle number = read(modulus);
  for (unsigned candidate = 2; candidate <= kLargestSmallPrime; ++candidate) {
    if (is_prime(candidate) && BN_mod_word(number.get(), candidate) == 0) return candidate;
  }
  return 0;
}

bool has_roca_fingerprint(ByteView modulus) {
  const BignumHandle number = read(modulus);
  return std::ranges::all_of(kRocaPrimes, [&](unsigned prime) {
    return is_power_of_65537(static_cast<unsigned>(BN_mod_word(number.get(), prime)), prime);
  });
}

bool has_close_primes(ByteView modulus, std::size_t rounds) {
  // n = a^2 - b^2 = (a - b)(a + b): the closer the primes, the sooner a^2 - n is a square as a
  // grows from sqrt(n).
  const auto context = require_handle(BignumContext(BN_CTX_new()), "calculating");
  const BignumHandle number = read(modulus);
  const BignumHandle a = square_root(number.get(), context.get());
  const BignumHandle rest = new_bignum();
  require_openssl(BN_sqr(rest.get(), a.get(), context.get()) == 1, "calculating");
  if (BN_cmp(rest.get(), number.get()) == 0) return true;  // a perfect square
  require_openssl(BN_sub(rest.get(), rest.get(), number.get()) == 1, "calculating");
  for (std::size_t round = 0; round < rounds; ++round) {
    // From a^2 - n to (a + 1)^2 - n: 2a + 1 more.
    require_openssl(BN_add(rest.get(), rest.get(), a.get()) == 1 && BN_add_word(a.get(), 1) == 1 &&
                        BN_add(rest.get(), rest.get(), a.get()) == 1,
                    "calculating");
    if (is_square(rest.get(), context.get())) return true;
  }
  return false;
}

}  // namespace gatehouse::crypto
