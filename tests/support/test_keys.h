// Keys as a client has them: fixed or generated private keys, their JWK, and JWS signed with them.
// Written against OpenSSL alone, so that a test compares the server's crypto with something else
// than itself.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"

namespace gatehouse::testing {

// Made with `openssl genpkey`; they protect nothing.
inline constexpr const char* kRsaKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDDxwmh6y8R3jRO\n"
    "I/22KHn4KFrWLtsjH8LIEQEdWUW4LomLHrG4sG2v599YsV+Q7sk5hf0uB9hdTc0F\n"
    "qIynVjDKzI3YDI1IJEsM6o2APDv58xLB8nOnlWDSRHxrqsrpnd5pqpuCtilwDrl6\n"
    "OUip+ChbA9yMHxvXMyF6l6X8lH96u0VrEtQztfTQUCZKRWbrcX0Sy6ZHeiijDXSh\n"
    "vBsi2MeARiKzRs1ITDo2jHtRzXz/unSnSRLCLscne25qMFPgMBpwhiIenPJDacQS\n"
    "hEZX7OGGn4QO37qpln+lkccQQyjYCwtFu6J+zSGai3SCYoGGfu/khxICtoTNxJo8\n"
    "+74dG4eTAgMBAAECggEAOkgoj/Fpo9IYlCKWxwGpvbyVvilYx04POGwHfusynDAO\n"
    "dkH++lJbdQB8NvUm1AiiEuPWiTuAp9YfcM3KgY5hHB5lI6oo7Q8Q4Jl64nAMEs7Q\n"
    "CLjawUrw9ee5envvyDhdG+vUO8dq8pcPlFk1TpQ3v1CY+YXRTfFEyDAZE+ZJRQmw\n"
    "q8lRb5l/8Sww2BYVEq4Zff4w4uf+SODe5PduYT76HNZzjI9M+mpTnBFigG9US2n1\n"
    "BwVsfAYWW53YSo2oUrv6iMJYOxTxfd8kRIf3NCV7DnaXNI2TAnCt4e2ILPFzVTTS\n"
    "Dui4HKOxyZTUZV8UcurWMhEbSFQiy7RT+A4DOe5C4QKBgQD+q6EeWwATDakQsHg2\n"
    "KR2a7DLjRVlvCo1+K8XTukT/pc7EtS4jgDO+iO3nOX8WXoiPiBFtvFs7TqkbCnbT\n"
    "2vpVQAmHO9lg1xcUO6+3IhZE3vcSioXko27wEZEXYHkhGUazceXPYgggj9P8dqQf\n"
    "RCzScaG5T+nZAqafkMXDhJQZewKBgQDEzLJvh5TLp6xVLw8tIKfbzHuKs+mL8qEV\n"
    "lkoApgv0oFSrPRF6jEwM2Vp4dqbh74AlTKNTcM+1tVak06qpS52s+9TzuciFPFey\n"
    "i+dTnHB1ZWznC07mAXzEedicp4BWH8+3RtJY4ZFnopOYWSrScp3+u5Jf8ustRztF\n"
    "RsF+8JSyyQKBgQCeFRmRRzmXmi4s/u3P6NvIs/+ulfi69dj4zeEh2YlFC7562mCG\n"
    "hukXx9WtZ0JdN1cbiYIQFRCokt5ju64hOdeUnYiMmnkIJNvdomMjkZQzMhg6OSR9\n"
    "1XliqfTfhvIJuq/pabUWcyrKU51qJJciFWahRwn1hwaIv52AhRRNlnl8CwKBgHwq\n"
    "fmZZz6qSluuD7npVgTLvl/7SNocixTl+giBYo3BrfCAyPoXoYM82j5szmWUxm9Ns\n"
    "wBuUMKj/ybPjDGkWGVyb4ycHT5mokdhH5uLc8CNRo90+SEBcLeE001M7Z4BvP7nu\n"
    "CCcl4nzVmXPkxlzTDhY7OEYrWPBPYfj6hHjXx6npAoGBAKJe538okY66276NNSf7\n"
    "gUJx/fUdtKMjeTicUil3b/xFYKVnWXAjrwg28NJcIh/C9qXQb2PP9EOYBETE8fyS\n"
    "VT0Puhn0bPKge9lnEW4yNimxdCuYP3xGuwNK2GRiprOCRfw95SAZM1Vw8md1BDLw\n"
    "5DIQU1xvY97pkcYHubbVVAx+\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr const char* kP256Key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7omzN2CzmjtBN1Ir\n"
    "bsyiFjbXTQY8DrwAwIKz+FghnoahRANCAAQdSU/SoUEMdP7hDlZzFTDuyiIbhQf5\n"
    "cqmOIxgmR7lk3Dcdf3xKegOrutuZdIRaOAAANDHexS95C2EmRoVwqgfv\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr const char* kP384Key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCJQOejx5yGU9yYAOYF\n"
    "l/nkLIW7j3mc8dBOrslVtHTr7FLgB7aONVj8ZDgMrnmw56WhZANiAARMC3Y1eM4X\n"
    "xsbiawe1d+moI+pVnEUe2vBztC/qGk52fuDDZaRBg7zPZD/oJdKuNIfOh1YFeWiq\n"
    "f6OVjcQhFYnt3Vk43htnIRNoNOse0GBxaoEw2pZmphhgA9MwpGwBVSU=\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr const char* kP521Key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAxqd4gfDHN+WJMrbY\n"
    "/dV/xAA3ugj9Zhw9iwKsTas3zhsQBoq1Wo7bLLGtetKQTeEfkzEndWpnR26V8qJI\n"
    "OetosQihgYkDgYYABAGLmrMdcglTeVySfkHhYP1UzSYB2Akusa6E6ILssGDq3PdL\n"
    "mKUWABS4IUbRgZqsi7xE5LeTYDKX8wmgSpAi8fJqiQH0X4KOjYBr7IRmogRl0sDQ\n"
    "ANnFe/QmFfpwv/3bmu6vqLMQHkp86jm4MQWRq3efoM4ZiGmkLQhumERqY46wyEFU\n"
    "CQ==\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr const char* kEd25519Key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIB5BJNiYZBLXJZU+WLae+RE48IaLXQPAvjOlyo/B0GpK\n"
    "-----END PRIVATE KEY-----\n";

// A client's private key. Copies share it; it is never changed.
class TestKey {
 public:
  enum class Kind { rsa2048, p256, p384, p521, ed25519 };

  // The same key in every run: what most tests want, and the fastest.
  static TestKey fixed(Kind kind) {
    switch (kind) {
      case Kind::rsa2048:
        return from_pem(kRsaKey);
      case Kind::p256:
        return from_pem(kP256Key);
      case Kind::p384:
        return from_pem(kP384Key);
      case Kind::p521:
        return from_pem(kP521Key);
      case Kind::ed25519:
        return from_pem(kEd25519Key);
    }
    throw std::logic_error("no such kind of key");
  }

  // A new key: for a second account, a CSR beside the account key.
  static TestKey generate(Kind kind) {
    switch (kind) {
      case Kind::rsa2048:
        return TestKey(EVP_RSA_gen(2048));
      case Kind::p256:
        return TestKey(EVP_EC_gen("P-256"));
      case Kind::p384:
        return TestKey(EVP_EC_gen("P-384"));
      case Kind::p521:
        return TestKey(EVP_EC_gen("P-521"));
      case Kind::ed25519:
        return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    }
    throw std::logic_error("no such kind of key");
  }

  // PKCS#8, PKCS#1 or SEC 1.
  static TestKey from_pem(std::string_view pem) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    return TestKey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  }

  // The P-256, P-384 or P-521 key whose private number is `scalar`.
  static TestKey from_scalar(Kind kind, unsigned scalar) {
    const int nid = kind == Kind::p256   ? NID_X9_62_prime256v1
                    : kind == Kind::p384 ? NID_secp384r1
                                         : NID_secp521r1;
    const std::unique_ptr<EC_GROUP, void (*)(EC_GROUP*)> group(EC_GROUP_new_by_curve_name(nid),
                                                               EC_GROUP_free);
    const std::unique_ptr<EC_POINT, void (*)(EC_POINT*)> point(EC_POINT_new(group.get()),
                                                               EC_POINT_free);
    const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(BN_new(), BN_free);
    BN_set_word(number.get(), scalar);
    EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr);
    std::array<std::uint8_t, 256> encoded{};
    const std::size_t size =
        EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, encoded.data(),
                           encoded.size(), nullptr);
    const std::unique_ptr<OSSL_PARAM_BLD, void (*)(OSSL_PARAM_BLD*)> builder(OSSL_PARAM_BLD_new(),
                                                                             OSSL_PARAM_BLD_free);
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, OBJ_nid2sn(nid), 0);
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get());
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), size);
    const std::unique_ptr<OSSL_PARAM, void (*)(OSSL_PARAM*)> params(
        OSSL_PARAM_BLD_to_param(builder.get()), OSSL_PARAM_free);
    const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
        EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), EVP_PKEY_CTX_free);
    EVP_PKEY* key = nullptr;
    EVP_PKEY_fromdata_init(context.get());
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params.get());
    return TestKey(key);
  }

  // The algorithm a JWS by this key names.
  std::string alg() const {
    if (EVP_PKEY_is_a(key_.get(), "RSA") == 1) return "RS256";
    if (EVP_PKEY_is_a(key_.get(), "ED25519") == 1) return "EdDSA";
    return coordinate_bytes() == 32 ? "ES256" : coordinate_bytes() == 48 ? "ES384" : "ES512";
  }

  // The public key as a `jwk`.
  Json jwk() const {
    if (EVP_PKEY_is_a(key_.get(), "RSA") == 1) {
      return {{"kty", "RSA"},
              {"n", number(OSSL_PKEY_PARAM_RSA_N, 0)},
              {"e", number(OSSL_PKEY_PARAM_RSA_E, 0)}};
    }
    if (EVP_PKEY_is_a(key_.get(), "ED25519") == 1) {
      Bytes point(32);
      std::size_t size = point.size();
      EVP_PKEY_get_raw_public_key(key_.get(), point.data(), &size);
      return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", base64url_encode(point)}};
    }
    const std::size_t bytes = coordinate_bytes();
    return {{"kty", "EC"},
            {"crv", bytes == 32   ? "P-256"
                    : bytes == 48 ? "P-384"
                                  : "P-521"},
            {"x", number(OSSL_PKEY_PARAM_EC_PUB_X, bytes)},
            {"y", number(OSSL_PKEY_PARAM_EC_PUB_Y, bytes)}};
  }

  // RFC 7638: SHA-256 of the required members in lexical order.
  std::string thumbprint() const {
    const Json key = jwk();
    Json sorted;
    for (const char* member : {"crv", "e", "kty", "n", "x", "y"}) {
      if (key.contains(member)) sorted[member] = key[member];
    }
    const std::string text = sorted.dump();
    std::array<std::uint8_t, 32> digest{};
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return base64url_encode(digest);
  }

  // The signature over `input` as JOSE carries it: RSA PKCS#1 v1.5, ECDSA r||s, Ed25519.
  Bytes sign(std::string_view input) const { return sign_with(digest(), input); }

  // The same with another digest than the algorithm's own: a signature that must not verify.
  Bytes sign_with(const EVP_MD* with, std::string_view input) const {
    const Bytes signature = sign_der_with(with, input);
    if (EVP_PKEY_is_a(key_.get(), "EC") != 1) return signature;
    const std::uint8_t* at = signature.data();
    const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> parsed(
        d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(signature.size())), ECDSA_SIG_free);
    const std::size_t bytes = coordinate_bytes();
    Bytes raw(2 * bytes);
    BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), raw.data(), static_cast<int>(bytes));
    BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), raw.data() + bytes, static_cast<int>(bytes));
    return raw;
  }

  // As X.509 carries it: ECDSA in DER.
  Bytes sign_der(std::string_view input) const { return sign_der_with(digest(), input); }

  Bytes sign_der_with(const EVP_MD* with, std::string_view input) const {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
    std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()));
    Bytes signature(size);
    const ByteView octets = as_bytes(input);
    if (EVP_DigestSignInit(context.get(), nullptr, with, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), signature.data(), &size, octets.data(), octets.size()) != 1) {
      throw std::runtime_error("OpenSSL signed nothing");
    }
    signature.resize(size);
    return signature;
  }

  // PKCS#8.
  std::string pem() const {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

  // DER SubjectPublicKeyInfo.
  Bytes spki() const {
    std::uint8_t* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    Bytes copy(der, der + size);
    OPENSSL_free(der);
    return copy;
  }

  EVP_PKEY* handle() const { return key_.get(); }

 private:
  explicit TestKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {
    if (key == nullptr) throw std::runtime_error("OpenSSL made no key");
  }

  std::size_t coordinate_bytes() const {
    return (static_cast<std::size_t>(EVP_PKEY_get_bits(key_.get())) + 7) / 8;
  }

  const EVP_MD* digest() const {
    const std::string name = alg();
    if (name == "EdDSA") return nullptr;
    return name == "ES384" ? EVP_sha384() : name == "ES512" ? EVP_sha512() : EVP_sha256();
  }

  std::string number(const char* name, std::size_t width) const {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &value);
    Bytes octets(std::max(width, static_cast<std::size_t>(BN_num_bytes(value))));
    BN_bn2binpad(value, octets.data(), static_cast<int>(octets.size()));
    BN_free(value);
    return base64url_encode(octets);
  }

  std::shared_ptr<EVP_PKEY> key_;
};

// A flattened JWS of the three parts as they are, nothing checked: for whatever a client must not
// send.
inline std::string flatten(std::string_view protected_header, std::string_view payload,
                           ByteView signature) {
  return Json{{"protected", base64url_encode(as_bytes(protected_header))},
              {"payload", base64url_encode(as_bytes(payload))},
              {"signature", base64url_encode(signature)}}
      .dump();
}

// A flattened JWS over `protected_header`, taken as text and as it is, signed by `key` in its own
// way whatever the header says.
inline std::string sign_jws_text(const TestKey& key, std::string_view protected_header,
                                 std::string_view payload) {
  const std::string input =
      base64url_encode(as_bytes(protected_header)) + '.' + base64url_encode(as_bytes(payload));
  return flatten(protected_header, payload, key.sign(input));
}

// The same with `alg` added where the header has none.
inline std::string sign_jws(const TestKey& key, Json protected_header, std::string_view payload) {
  if (!protected_header.contains("alg")) protected_header["alg"] = key.alg();
  return sign_jws_text(key, protected_header.dump(), payload);
}

// What newAccount, and revocation by certificate key, take: the key itself in the header.
inline std::string sign_with_jwk(const TestKey& key, std::string_view url, std::string_view nonce,
                                 std::string_view payload) {
  return sign_jws(key, Json{{"jwk", key.jwk()}, {"nonce", nonce}, {"url", url}}, payload);
}

// What everything else takes: the account's URL in the header. An empty payload is POST-as-GET.
inline std::string sign_with_kid(const TestKey& key, std::string_view kid, std::string_view url,
                                 std::string_view nonce, std::string_view payload) {
  return sign_jws(key, Json{{"kid", kid}, {"nonce", nonce}, {"url", url}}, payload);
}

// An external account binding (RFC 8555 section 7.3.4): HS256 with the octets of `mac_key`.
inline std::string mac_jws(std::string_view mac_key, Json protected_header,
                           std::string_view payload) {
  if (!protected_header.contains("alg")) protected_header["alg"] = "HS256";
  const std::string header = protected_header.dump();
  const std::string input =
      base64url_encode(as_bytes(header)) + '.' + base64url_encode(as_bytes(payload));
  std::array<std::uint8_t, 32> mac{};
  HMAC(EVP_sha256(), mac_key.data(), static_cast<int>(mac_key.size()), as_bytes(input).data(),
       input.size(), mac.data(), nullptr);
  return flatten(header, payload, mac);
}

}  // namespace gatehouse::testing
