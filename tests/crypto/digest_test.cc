#include "acme-server/crypto/digest.h"

#include <doctest/doctest.h>

#include "acme-server/base/hex.h"
#include "acme-server/crypto/aead.h"
#include "tests/support/seeded_entropy.h"

namespace gatehouse::crypto {
namespace {

TEST_CASE("sha256 gives FIPS 180-4's examples") {
  CHECK(sha256_hex(as_bytes("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("hmac_sha256 gives RFC 4231's test case 2, and takes an empty message") {
  CHECK(hex_encode(hmac_sha256(Secret("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex_encode(hmac_sha256(Secret("key"), {})) ==
        "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0");
}

TEST_CASE("constant_time_equal compares content and length") {
  CHECK(constant_time_equal(as_bytes("same"), as_bytes("same")));
  CHECK(constant_time_equal({}, {}));
  CHECK_FALSE(constant_time_equal(as_bytes("same"), as_bytes("sane")));
  CHECK_FALSE(constant_time_equal(as_bytes("same"), as_bytes("same ")));
}

TEST_CASE("Aead opens what it sealed and nothing else") {
  testing::SeededEntropy entropy;
  const Aead aead(entropy);
  const Aead other(entropy);
  const std::array<std::uint8_t, 12> iv = {1, 2, 3};
  const std::array<std::uint8_t, 12> other_iv = {1, 2, 4};
  for (const std::string_view text : {"", "x", "a nonce's counter"}) {
    const Bytes sealed = aead.seal(iv, as_bytes(text));
    REQUIRE(sealed.size() == text.size() + 16);
    REQUIRE(aead.open(iv, sealed));
    CHECK(as_text(*aead.open(iv, sealed)) == text);
    CHECK_FALSE(aead.open(other_iv, sealed));
    CHECK_FALSE(other.open(iv, sealed));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
      Bytes changed = sealed;
      changed[i] ^= 1U;
      CHECK_FALSE(aead.open(iv, changed));
    }
    for (std::size_t length = 0; length < sealed.size(); ++length) {
      CHECK_FALSE(aead.open(iv, ByteView(sealed).first(length)));
    }
  }
}

}  // namespace
}  // namespace gatehouse::crypto
