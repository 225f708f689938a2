#include "acme-server/crypto/public_key.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/curve.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

using namespace std::string_view_literals;

using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;

// The AlgorithmIdentifiers of the keys that we know (RFC 3279, RFC 5480, RFC 8410). DER has one
// form of each, so octets are compared; whatever else a certificate may hold there is not ours to
// interpret.
struct KeyAlgorithm {
  KeyType type;
  std::string_view identifier;
};

constexpr std::array<KeyAlgorithm, 5> kKeyAlgorithms = {{
    {KeyType::rsa, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"sv},
    {KeyType::ec_p256,
     "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"sv},
    {KeyType::ec_p384,
     "\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"sv},
    {KeyType::ec_p521,
     "\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23"sv},
    {KeyType::ed25519, "\x30\x05\x06\x03\x2b\x65\x70"sv},
}};

enum class Scheme { rsa, ecdsa, ed25519 };

struct SignatureAlgorithm {
  Scheme scheme;
  const EVP_MD* (*digest)();
  std::string_view identifier;
};

const EVP_MD* no_digest() {
  return nullptr;
}

constexpr std::array<SignatureAlgorithm, 7> kSignatureAlgorithms = {{
    {Scheme::ecdsa, EVP_sha256, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"sv},
    {Scheme::ecdsa, EVP_sha384, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"sv},
    {Scheme::ecdsa, EVP_sha512, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"sv},
    {Scheme::rsa, EVP_sha256, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"sv},
    {Scheme::rsa, EVP_sha384, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"sv},
    {Scheme::rsa, EVP_sha512, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"sv},
    {Scheme::ed25519, no_digest, "\x30\x05\x06\x03\x2b\x65\x70"sv},
}};

const SignatureAlgorithm* find_signature_algorithm(ByteView identifier) {
  const auto found =
      std::ranges::find(kSignatureAlgorithms, as_text(identifier), &SignatureAlgorithm::identifier);
  return found == kSignatureAlgorithms.end() ? nullptr : &*found;
}

// The parameters of RSASSA-PSS, as far as they are accepted.
struct PssAlgorithm {
  const EVP_MD* digest;
  int salt_bytes;
};

constexpr std::array<std::pair<int, const EVP_MD* (*)()>, 3> kPssDigests = {
    {{NID_sha256, EVP_sha256}, {NID_sha384, EVP_sha384}, {NID_sha512, EVP_sha512}}};
constexpr long kMaxSaltBytes = 512;  // a key of 4096 bits has no room for more

// The content of an AlgorithmIdentifier's parameters that are a SEQUENCE.
std::optional<ByteView> sequence_in(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* id = nullptr;
  int type = V_ASN1_UNDEF;
  const void* value = nullptr;
  X509_ALGOR_get0(&id, &type, &value, algorithm);
  if (type != V_ASN1_SEQUENCE) return std::nullopt;
  return asn1::octets_of(static_cast<const ASN1_STRING*>(value));
}

// The digest that a PSS hash or mask algorithm names; absent is SHA-1, RFC 4055's default.
int digest_of(const X509_ALGOR* algorithm) {
  return algorithm == nullptr ? NID_sha1 : OBJ_obj2nid(algorithm->algorithm);
}

int mask_digest_of(const X509_ALGOR* algorithm) {
  if (algorithm == nullptr) return NID_sha1;
  const auto content = sequence_in(algorithm);
  if (!content || OBJ_obj2nid(algorithm->algorithm) != NID_mgf1) return NID_undef;
  const auto inner = asn1::decode<X509_ALGOR_it, X509_ALGOR>(*content);
  return inner ? digest_of(inner.get()) : NID_undef;
}

using PssParameters = decltype(asn1::decode<RSA_PSS_PARAMS_it, RSA_PSS_PARAMS>(ByteView()));

// Null when `identifier` is not RSASSA-PSS with parameters.
PssParameters pss_parameters_of(ByteView identifier) {
  const auto algorithm = asn1::decode<X509_ALGOR_it, X509_ALGOR>(identifier);
  if (!algorithm || OBJ_obj2nid(algorithm->algorithm) != NID_rsassaPss) return nullptr;
  const auto content = sequence_in(algorithm.get());
  return content ? asn1::decode<RSA_PSS_PARAMS_it, RSA_PSS_PARAMS>(*content) : nullptr;
}

std::optional<PssAlgorithm> find_pss_algorithm(ByteView identifier) {
  const auto parameters = pss_parameters_of(identifier);
  if (!parameters) return std::nullopt;
  const int digest = digest_of(parameters->hashAlgorithm);
  const auto* known =
      std::ranges::find(kPssDigests, digest, [](const auto& row) { return row.first; });
  constexpr long kDefaultSalt = 20;
  constexpr long kTrailer = 1;
  const long salt =
      parameters->saltLength == nullptr ? kDefaultSalt : ASN1_INTEGER_get(parameters->saltLength);
  const long trailer =
      parameters->trailerField == nullptr ? kTrailer : ASN1_INTEGER_get(parameters->trailerField);
  if (known == kPssDigests.end() || mask_digest_of(parameters->maskGenAlgorithm) != digest ||
      salt < 0 || salt > kMaxSaltBytes || trailer != kTrailer) {
    return std::nullopt;
  }
  return PssAlgorithm{.digest = known->second(), .salt_bytes = static_cast<int>(salt)};
}

std::string name_of_digest(int nid) {
  return nid == NID_undef ? "unknown" : OBJ_nid2sn(nid);
}

// "sha1WithRSAEncryption", "RSASSA-PSS with SHA1 and MGF1 with SHA1", or the OID.
std::string name_of_algorithm(ByteView identifier) {
  const auto algorithm = asn1::decode<X509_ALGOR_it, X509_ALGOR>(identifier);
  if (!algorithm) return "an algorithm that is not DER";
  const int nid = OBJ_obj2nid(algorithm->algorithm);
  if (nid == NID_rsassaPss) {
    const auto parameters = pss_parameters_of(identifier);
    if (!parameters) return "RSASSA-PSS without parameters";
    return "RSASSA-PSS with " + name_of_digest(digest_of(parameters->hashAlgorithm)) +
           " and MGF1 with " + name_of_digest(mask_digest_of(parameters->maskGenAlgorithm));
  }
  if (nid == NID_undef) return asn1::dotted(algorithm->algorithm);
  // One that is accepted is here for its parameters: each has them in one form alone.
  constexpr std::array kAccepted = {NID_ecdsa_with_SHA256,
                                    NID_ecdsa_with_SHA384,
                                    NID_ecdsa_with_SHA512,
                                    NID_sha256WithRSAEncryption,
                                    NID_sha384WithRSAEncryption,
                                    NID_sha512WithRSAEncryption,
                                    NID_ED25519};
  const bool misencoded = std::ranges::find(kAccepted, nid) != kAccepted.end();
  return OBJ_nid2ln(nid) + std::string(misencoded ? " with parameters that it does not have" : "");
}

Scheme scheme_of(KeyType type) {
  switch (type) {
    case KeyType::rsa:
      return Scheme::rsa;
    case KeyType::ec_p256:
    case KeyType::ec_p384:
    case KeyType::ec_p521:
      return Scheme::ecdsa;
    case KeyType::ed25519:
      return Scheme::ed25519;
  }
  ACME_CHECK(false);
  return Scheme::rsa;
}

const SignatureAlgorithm& default_algorithm_of(KeyType type) {
  switch (type) {
    case KeyType::ec_p256:
      return kSignatureAlgorithms[0];
    case KeyType::ec_p384:
      return kSignatureAlgorithms[1];
    case KeyType::ec_p521:
      return kSignatureAlgorithms[2];
    case KeyType::rsa:
      return kSignatureAlgorithms[3];
    case KeyType::ed25519:
      return kSignatureAlgorithms[6];
  }
  ACME_CHECK(false);
  return kSignatureAlgorithms[0];
}

PkeyHandle pkey_from(const char* key_type, int selection, const OSSL_PARAM* params) {
  const auto context = require_handle(
      PkeyContext(EVP_PKEY_CTX_new_from_name(nullptr, key_type, nullptr)), "making a key");
  EVP_PKEY* pkey = nullptr;
  // fromdata only reads the parameters; its signature is not const.
  require_openssl(
      EVP_PKEY_fromdata_init(context.get()) == 1 &&
          EVP_PKEY_fromdata(context.get(), &pkey, selection, const_cast<OSSL_PARAM*>(params)) == 1,
      "making a key");
  return PkeyHandle(pkey);
}

BignumHandle bignum_of(ByteView octets) {
  return require_handle(
      BignumHandle(BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr)),
      "reading a number");
}

PkeyHandle rsa_pkey(const Jwk& key) {
  const BignumHandle modulus = bignum_of(key.modulus);
  const BignumHandle exponent = bignum_of(key.exponent);
  const auto builder = require_handle(ParamBuilder(OSSL_PARAM_BLD_new()), "making an RSA key");
  require_openssl(
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1 &&
          OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1,
      "making an RSA key");
  const auto params =
      require_handle(Params(OSSL_PARAM_BLD_to_param(builder.get())), "making an RSA key");
  return pkey_from("RSA", EVP_PKEY_PUBLIC_KEY, params.get());
}

// The curve as a key that has no point yet. Made once: it costs as much as half a verification,
// and a copy a tenth of that.
const EVP_PKEY& curve_parameters(const Curve& curve) {
  const auto made = [](KeyType type) {
    const std::array params = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         const_cast<char*>(curve_of(type).openssl_name), 0),
        OSSL_PARAM_construct_end()};
    return pkey_from("EC", EVP_PKEY_KEY_PARAMETERS, params.data());
  };
  static const PkeyHandle kP256 = made(KeyType::ec_p256);
  static const PkeyHandle kP384 = made(KeyType::ec_p384);
  static const PkeyHandle kP521 = made(KeyType::ec_p521);
  return curve.type == KeyType::ec_p256 ? *kP256 : curve.type == KeyType::ec_p384 ? *kP384 : *kP521;
}

PkeyHandle ec_pkey(const Jwk& key) {
  const Bytes point = der::concat({as_bytes("\x04"sv), key.x, key.y});
  PkeyHandle pkey = require_handle(PkeyHandle(EVP_PKEY_new()), "making a key");
  require_openssl(
      EVP_PKEY_copy_parameters(pkey.get(), &curve_parameters(curve_of(key.type))) == 1 &&
          EVP_PKEY_set1_encoded_public_key(pkey.get(), point.data(), point.size()) == 1,
      "making a public key");
  return pkey;
}

PkeyHandle ed25519_pkey(const Jwk& key) {
  Bytes point = key.x;
  const std::array params = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  return pkey_from("ED25519", EVP_PKEY_PUBLIC_KEY, params.data());
}

Expected<Jwk, std::string> read_rsa(ByteView der) {
  const auto key = asn1::decode<asn1::RsaPublicKey::item, asn1::RsaPublicKey>(der);
  if (!key) return Unexpected{std::string("the RSA key is not a DER RSAPublicKey")};
  if (ASN1_STRING_type(key->modulus) != V_ASN1_INTEGER ||
      ASN1_STRING_type(key->exponent) != V_ASN1_INTEGER) {
    return Unexpected{std::string("the RSA key has a negative modulus or exponent")};
  }
  const ByteView modulus = asn1::octets_of(key->modulus);
  const ByteView exponent = asn1::octets_of(key->exponent);
  if (modulus.size() > kMaxModulusBytes || exponent.size() > kMaxExponentBytes) {
    return Unexpected{
        std::string("the RSA key is too large: at most 8192 bits, with an exponent of at most 64")};
  }
  if (modulus[0] == 0 || exponent[0] == 0) {
    return Unexpected{std::string("the RSA key has a modulus or exponent of zero")};
  }
  return Jwk{.type = KeyType::rsa,
             .modulus = Bytes(modulus.begin(), modulus.end()),
             .exponent = Bytes(exponent.begin(), exponent.end()),
             .x = {},
             .y = {}};
}

Expected<Jwk, std::string> read_ec(KeyType type, ByteView point) {
  const Curve& curve = curve_of(type);
  if (point.size() != 1 + 2 * curve.bytes || point[0] != 4) {
    return Unexpected{"the " + std::string(curve.jwk_name) + " key is not an uncompressed point"};
  }
  const ByteView x = point.subspan(1, curve.bytes);
  const ByteView y = point.subspan(1 + curve.bytes);
  if (!is_on_curve(curve, x, y)) {
    return Unexpected{"the key is not a point of the curve " + std::string(curve.jwk_name)};
  }
  return Jwk{.type = type,
             .modulus = {},
             .exponent = {},
             .x = Bytes(x.begin(), x.end()),
             .y = Bytes(y.begin(), y.end())};
}

Expected<Jwk, std::string> read_ed25519(ByteView point) {
  if (!is_ed25519_point(point))
    return Unexpected{std::string("the key is not a point of the curve Ed25519")};
  return Jwk{.type = KeyType::ed25519,
             .modulus = {},
             .exponent = {},
             .x = Bytes(point.begin(), point.end()),
             .y = {}};
}

Bytes bignum_param(const EVP_PKEY& pkey, const char* name, std::size_t width) {
  BIGNUM* number = nullptr;
  require_openssl(EVP_PKEY_get_bn_param(&pkey, name, &number) == 1, "reading a key");
  const BignumHandle owner(number);
  Bytes octets(std::max(width, static_cast<std::size_t>(BN_num_bytes(number))));
  require_openssl(BN_bn2binpad(number, octets.data(), static_cast<int>(octets.size())) >= 0,
                  "reading a key");
  return octets;
}

}  // namespace

PublicKey::PublicKey(KeyType type, PkeyHandle handle)
    : type_(type),
      handle_(std::move(handle)),
      begun_(require_handle(DigestContext(EVP_MD_CTX_new()), "preparing a key")) {
  require_openssl(EVP_DigestVerifyInit(begun_.get(), nullptr, signature_digest_of(type), nullptr,
                                       handle_.get()) == 1,
                  "preparing a key");
}

bool PublicKey::verifies(const EVP_MD* digest, ByteView message, ByteView signature) const {
  const auto context = require_handle(DigestContext(EVP_MD_CTX_new()), "verifying");
  // EVP_DigestVerifyInit changes nothing in the key; its signature is not const.
  const int begun =
      digest == signature_digest_of(type_)
          ? EVP_MD_CTX_copy_ex(context.get(), begun_.get())
          : EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, handle_.get());
  const bool good =
      begun == 1 && EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                     message.data(), message.size()) == 1;
  if (!good) drain_openssl_errors();
  return good;
}

bool PublicKey::verifies_pss(const EVP_MD* digest, int salt_bytes, ByteView message,
                             ByteView signature) const {
  const auto context = require_handle(DigestContext(EVP_MD_CTX_new()), "verifying");
  EVP_PKEY_CTX* padding = nullptr;  // the digest context's own
  const bool good =
      EVP_DigestVerifyInit(context.get(), &padding, digest, nullptr, handle_.get()) == 1 &&
      EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
      EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, salt_bytes) == 1 &&
      EVP_PKEY_CTX_set_rsa_mgf1_md(padding, digest) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  if (!good) drain_openssl_errors();
  return good;
}

std::size_t PublicKey::signature_bytes() const {
  return static_cast<std::size_t>(EVP_PKEY_get_size(handle_.get()));
}

PublicKeyRef make_public_key(const Jwk& key) {
  switch (scheme_of(key.type)) {
    case Scheme::rsa:
      return std::make_shared<const PublicKey>(key.type, rsa_pkey(key));
    case Scheme::ecdsa:
      return std::make_shared<const PublicKey>(key.type, ec_pkey(key));
    case Scheme::ed25519:
      return std::make_shared<const PublicKey>(key.type, ed25519_pkey(key));
  }
  ACME_CHECK(false);
  return nullptr;
}

Bytes subject_public_key_info(const Jwk& key) {
  const auto algorithm = std::ranges::find(kKeyAlgorithms, key.type, &KeyAlgorithm::type);
  Bytes bits;
  switch (scheme_of(key.type)) {
    case Scheme::rsa:
      bits = der::sequence({der::integer(key.modulus), der::integer(key.exponent)});
      break;
    case Scheme::ecdsa:
      bits = der::concat({as_bytes("\x04"sv), key.x, key.y});
      break;
    case Scheme::ed25519:
      bits = key.x;
      break;
  }
  return der::sequence({as_bytes(algorithm->identifier), der::bit_string(bits)});
}

Expected<Jwk, std::string> read_spki(ByteView spki) {
  der::Reader outer(spki);
  const auto whole = outer.next(der::kSequence);
  der::Reader parts(whole ? whole->content : ByteView());
  const auto identifier = parts.next(der::kSequence);
  const auto key = parts.next(der::kBitString);
  if (!outer.done() || !identifier || !key || !parts.done()) {
    return Unexpected{std::string("the key is not a DER SubjectPublicKeyInfo")};
  }
  const auto known =
      std::ranges::find(kKeyAlgorithms, as_text(identifier->whole), &KeyAlgorithm::identifier);
  if (known == kKeyAlgorithms.end()) {
    return Unexpected{
        std::string("the key is neither RSA nor on a named curve P-256, P-384 or P-521, nor "
                    "Ed25519; explicit curve parameters and "
                    "RSA-PSS keys are not supported")};
  }
  const auto bits = der::whole_octets(key);
  if (!bits) return Unexpected{std::string("the key is not a whole number of octets")};
  switch (scheme_of(known->type)) {
    case Scheme::rsa:
      return read_rsa(*bits);
    case Scheme::ecdsa:
      return read_ec(known->type, *bits);
    case Scheme::ed25519:
      return read_ed25519(*bits);
  }
  ACME_CHECK(false);
  return Unexpected{std::string()};
}

Jwk jwk_of_pkey(const EVP_PKEY& pkey) {
  if (EVP_PKEY_is_a(&pkey, "RSA") == 1) {
    return {.type = KeyType::rsa,
            .modulus = bignum_param(pkey, OSSL_PKEY_PARAM_RSA_N, 0),
            .exponent = bignum_param(pkey, OSSL_PKEY_PARAM_RSA_E, 0),
            .x = {},
            .y = {}};
  }
  if (EVP_PKEY_is_a(&pkey, "ED25519") == 1) {
    Bytes point(32);
    std::size_t size = point.size();
    require_openssl(EVP_PKEY_get_raw_public_key(&pkey, point.data(), &size) == 1 && size == 32,
                    "reading a key");
    return {.type = KeyType::ed25519, .modulus = {}, .exponent = {}, .x = point, .y = {}};
  }
  std::array<char, 64> group{};
  if (EVP_PKEY_is_a(&pkey, "EC") == 1 &&
      EVP_PKEY_get_group_name(&pkey, group.data(), group.size(), nullptr) == 1) {
    const int nid = OBJ_txt2nid(group.data());
    for (const KeyType type : {KeyType::ec_p256, KeyType::ec_p384, KeyType::ec_p521}) {
      const Curve& curve = curve_of(type);
      if (curve.nid != nid) continue;
      return {.type = type,
              .modulus = {},
              .exponent = {},
              .x = bignum_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, curve.bytes),
              .y = bignum_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, curve.bytes)};
    }
  }
  drain_openssl_errors();
  throw std::runtime_error(
      "the key is neither RSA, nor on P-256, P-384 or P-521, nor Ed25519; make another one");
}

bool verify_x509_signature(ByteView algorithm, const PublicKey& key, ByteView message,
                           ByteView signature) {
  if (const SignatureAlgorithm* known = find_signature_algorithm(algorithm)) {
    return known->scheme == scheme_of(key.type()) &&
           key.verifies(known->digest(), message, signature);
  }
  const auto pss = key.type() == KeyType::rsa ? find_pss_algorithm(algorithm) : std::nullopt;
  return pss && key.verifies_pss(pss->digest, pss->salt_bytes, message, signature);
}

std::optional<std::string> why_algorithm_refused(ByteView algorithm) {
  if (find_signature_algorithm(algorithm) != nullptr || find_pss_algorithm(algorithm)) {
    return std::nullopt;
  }
  return "is signed with the algorithm " + name_of_algorithm(algorithm) +
         ", which is not accepted; use SHA-256, SHA-384 or SHA-512 with RSA (PKCS#1 v1.5, or PSS "
         "with MGF1 of the same digest) or ECDSA, or Ed25519";
}

ByteView signature_algorithm_of(KeyType type) {
  return as_bytes(default_algorithm_of(type).identifier);
}

const EVP_MD* signature_digest_of(KeyType type) {
  return default_algorithm_of(type).digest();
}

}  // namespace gatehouse::crypto
