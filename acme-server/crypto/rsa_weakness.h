// What makes an RSA modulus weak although its size is right. For key_policy.
#pragma once

#include <cstddef>

#include "acme-server/base/bytes.h"

namespace gatehouse::crypto {

// The smallest prime up to 751 that divides `modulus`, or 0. Boulder looks as far.
unsigned small_factor(ByteView modulus);

// True when `modulus` bears the mark of Infineon's generator (ROCA, CVE-2017-15361): modulo each of
// 17 primes it is a power of 65537. A good key looks so once in 2^27.
bool has_roca_fingerprint(ByteView modulus);

// True when Fermat's method finds the factors within `rounds`: primes chosen too close together
// (CVE-2022-26320). `modulus` is odd.
bool has_close_primes(ByteView modulus, std::size_t rounds);

}  // namespace gatehouse::crypto
