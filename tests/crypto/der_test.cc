#include "acme-server/crypto/der.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "acme-server/base/hex.h"

namespace gatehouse::crypto::der {
namespace {

TEST_CASE("integers are minimal and never negative") {
  CHECK(hex_encode(integer(std::uint64_t{0})) == "020100");
  CHECK(hex_encode(integer(std::uint64_t{127})) == "02017f");
  CHECK(hex_encode(integer(std::uint64_t{128})) == "02020080");
  CHECK(hex_encode(integer(~std::uint64_t{0})) == "020900ffffffffffffffff");
  CHECK(hex_encode(integer(Bytes{0, 0, 0x80})) == "02020080");
  CHECK(hex_encode(integer(Bytes{})) == "020100");
}

TEST_CASE("lengths take the shortest form") {
  CHECK(hex_encode(header(0x04, 127)) == "047f");
  CHECK(hex_encode(header(0x04, 128)) == "048180");
  CHECK(hex_encode(header(0x04, 255)) == "0481ff");
  CHECK(hex_encode(header(0x04, 256)) == "04820100");
  CHECK(hex_encode(header(0x04, 0x1234567)) == "048401234567");
}

TEST_CASE("named bits end at the last one that is set") {
  CHECK(hex_encode(named_bits(0)) == "030100");
  CHECK(hex_encode(named_bits(1)) == "03020780");                        // digitalSignature
  CHECK(hex_encode(named_bits((1U << 5U) | (1U << 6U))) == "03020106");  // keyCertSign, cRLSign
  CHECK(hex_encode(named_bits(1U << 8U)) == "0303070080");               // decipherOnly
}

TEST_CASE("object identifiers are encoded as X.690 8.19 says, and nothing else is one") {
  CHECK(hex_encode(oid("2.5.29.17")) == "0603551d11");
  CHECK(hex_encode(oid("1.2.840.113549.1.1.11")) == "06092a864886f70d01010b");
  CHECK(hex_encode(oid("2.999.3")) == "0603883703");
  for (const char* text : {"", "1", "3.1", "1.40", "1..2", "1.2.", ".1.2", "1.2.x", "1.2.-3",
                           "1.2 .3", "1.2.99999999999999999999999"}) {
    CAPTURE(std::string(text));
    CHECK_THROWS_AS(oid(text), std::runtime_error);
  }
}

TEST_CASE("times are UTCTime until 2049 and GeneralizedTime from 2050") {
  using namespace std::chrono;
  CHECK(as_text(time(sys_days(2026y / 6 / 1) + 12h)) ==
        "\x17\x0d"
        "260601120000Z");
  CHECK(as_text(time(sys_days(2049y / 12 / 31) + 23h + 59min + 59s)) ==
        "\x17\x0d"
        "491231235959Z");
  CHECK(as_text(time(sys_days(2050y / 1 / 1))) ==
        "\x18\x0f"
        "20500101000000Z");
}

}  // namespace
}  // namespace gatehouse::crypto::der
