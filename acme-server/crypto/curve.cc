#include "acme-server/crypto/curve.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

using GroupHandle = std::unique_ptr<EC_GROUP, FreeWith<EC_GROUP_free>>;
using PointHandle = std::unique_ptr<EC_POINT, FreeWith<EC_POINT_free>>;

// The orders are SP 800-186's; the tests compare them with OpenSSL's.
constexpr std::array<Curve, 3> kCurves = {{
    {KeyType::ec_p256, "P-256", "P-256", NID_X9_62_prime256v1, 32,
     "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
    {KeyType::ec_p384, "P-384", "P-384", NID_secp384r1, 48,
     "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52"
     "973"},
    {KeyType::ec_p521, "P-521", "P-521", NID_secp521r1, 66,
     "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f"
     "709a5d03bb5c9b8899c"
     "47aebb6fb71e91386409"},
}};

// p = 2^255 - 19, and d = -121665/121666 mod p (RFC 8032 section 5.1).
constexpr const char* kEd25519P =
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed";
constexpr const char* kEd25519D =
    "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";

// The y coordinates of the points of order 1, 2, 4 and 8, little-endian: 0, 1, the two of order 8,
// p-1, and the non-canonical p and p+1. The sign of x does not matter.
constexpr std::array<std::string_view, 7> kSmallOrderY = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

// Made once: OpenSSL takes 20 us for it, as long as half a verification. Constants that threads
// share.
const EC_GROUP& group_of(const Curve& curve) {
  static const std::array<GroupHandle, kCurves.size()> kGroups = [] {
    std::array<GroupHandle, kCurves.size()> groups;
    std::ranges::transform(kCurves, groups.begin(), [](const Curve& each) {
      return require_handle(GroupHandle(EC_GROUP_new_by_curve_name(each.nid)), "making a curve");
    });
    return groups;
  }();
  const auto found = std::ranges::find(kCurves, curve.type, &Curve::type);
  return *kGroups.at(static_cast<std::size_t>(found - kCurves.begin()));
}

const Bytes& order_of(const Curve& curve) {
  static const std::array<Bytes, kCurves.size()> kOrders = [] {
    std::array<Bytes, kCurves.size()> orders;
    std::ranges::transform(kCurves, orders.begin(),
                           [](const Curve& each) { return hex_decode(each.order_hex).value(); });
    return orders;
  }();
  const auto found = std::ranges::find(kCurves, curve.type, &Curve::type);
  return kOrders.at(static_cast<std::size_t>(found - kCurves.begin()));
}

BignumHandle bignum_of(ByteView big_endian) {
  return require_handle(
      BignumHandle(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr)),
      "reading a number");
}

BignumHandle bignum_of_hex(const char* hex) {
  BIGNUM* number = nullptr;
  BN_hex2bn(&number, hex);
  return require_handle(BignumHandle(number), "reading a constant");
}

Bytes without_sign(ByteView encoded) {
  Bytes y(encoded.begin(), encoded.end());
  y.back() &= 0x7FU;
  return y;
}

}  // namespace

const Curve& curve_of(KeyType type) {
  const auto found = std::ranges::find(kCurves, type, &Curve::type);
  ACME_CHECK(found != kCurves.end());
  return *found;
}

const Curve* find_curve(std::string_view jwk_name) {
  const auto found = std::ranges::find(kCurves, jwk_name, &Curve::jwk_name);
  return found == kCurves.end() ? nullptr : &*found;
}

bool is_in_range(const Curve& curve, ByteView scalar) {
  ACME_CHECK(scalar.size() == curve.bytes);
  return std::ranges::any_of(scalar, [](std::uint8_t octet) { return octet != 0; }) &&
         std::ranges::lexicographical_compare(scalar, order_of(curve));
}

bool is_on_curve(const Curve& curve, ByteView x, ByteView y) {
  if (x.size() != curve.bytes || y.size() != curve.bytes) return false;
  const EC_GROUP* const group = &group_of(curve);
  const auto point = require_handle(PointHandle(EC_POINT_new(group)), "making a point");
  // Encoded octets rather than set_affine_coordinates: this way OpenSSL also looks whether x, y <
  // p.
  Bytes encoded = {POINT_CONVERSION_UNCOMPRESSED};
  encoded.insert(encoded.end(), x.begin(), x.end());
  encoded.insert(encoded.end(), y.begin(), y.end());
  const bool on_curve =
      EC_POINT_oct2point(group, point.get(), encoded.data(), encoded.size(), nullptr) == 1 &&
      EC_POINT_is_on_curve(group, point.get(), nullptr) == 1 &&
      EC_POINT_is_at_infinity(group, point.get()) == 0;
  if (!on_curve) drain_openssl_errors();
  return on_curve;
}

bool is_ed25519_point(ByteView encoded) {
  if (encoded.size() != 32) return false;
  Bytes y_octets = without_sign(encoded);
  std::ranges::reverse(y_octets);
  const BignumHandle p = bignum_of_hex(kEd25519P);
  const BignumHandle d = bignum_of_hex(kEd25519D);
  const BignumHandle y = bignum_of(y_octets);
  if (BN_cmp(y.get(), p.get()) >= 0) return false;

  // x^2 = (y^2 - 1) / (d y^2 + 1) has a solution exactly when the product of both is a square or
  // zero.
  const auto context = require_handle(BignumContext(BN_CTX_new()), "calculating");
  const auto square = require_handle(BignumHandle(BN_new()), "calculating");
  const auto above = require_handle(BignumHandle(BN_new()), "calculating");
  const auto below = require_handle(BignumHandle(BN_new()), "calculating");
  require_openssl(
      BN_mod_sqr(square.get(), y.get(), p.get(), context.get()) == 1 &&
          BN_mod_sub(above.get(), square.get(), BN_value_one(), p.get(), context.get()) == 1 &&
          BN_mod_mul(below.get(), square.get(), d.get(), p.get(), context.get()) == 1 &&
          BN_mod_add(below.get(), below.get(), BN_value_one(), p.get(), context.get()) == 1 &&
          BN_mod_mul(above.get(), above.get(), below.get(), p.get(), context.get()) == 1,
      "calculating");
  const int symbol = BN_kronecker(above.get(), p.get(), context.get());
  require_openssl(symbol >= -1, "calculating");
  return symbol != -1;
}

bool is_small_order_ed25519(ByteView encoded) {
  if (encoded.size() != 32) return false;
  return std::ranges::find(kSmallOrderY, hex_encode(without_sign(encoded))) != kSmallOrderY.end();
}

}  // namespace gatehouse::crypto
