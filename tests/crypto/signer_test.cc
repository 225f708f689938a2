#include "acme-server/crypto/signer.h"

#include <doctest/doctest.h>

#include <sstream>
#include <stdexcept>

#include "acme-server/crypto/public_key.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using testing::TestKey;
using Kind = TestKey::Kind;

bool signs(Signer& signer) {
  const Bytes signature = signer.sign(as_bytes("message"));
  const auto key = read_spki(signer.public_key());
  REQUIRE(key);
  CHECK_FALSE(verify_x509_signature(signer.algorithm(), *make_public_key(*key), as_bytes("massage"),
                                    signature));
  return verify_x509_signature(signer.algorithm(), *make_public_key(*key), as_bytes("message"),
                               signature);
}

TEST_CASE("a new key of every kind can be loaded and signs") {
  for (const NewKey kind : {NewKey::p256, NewKey::p384, NewKey::rsa2048}) {
    const Secret pem = generate_private_key(kind);
    CHECK(pem.reveal().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    CHECK_FALSE(is_encrypted_private_key(pem));
    CHECK(signs(*load_signer(pem, Secret())));
  }
}

TEST_CASE("the larger RSA keys have the size they are asked for") {
  const auto bits = [](NewKey kind) {
    const auto signer = load_signer(generate_private_key(kind), Secret());
    return read_spki(signer->public_key())->modulus.size() * 8;
  };
  CHECK(bits(NewKey::rsa3072) == 3072);
  CHECK(bits(NewKey::rsa4096) == 4096);
}

TEST_CASE("a signer's public key and algorithm are those of its file") {
  const std::pair<Kind, const char*> rows[] = {{Kind::rsa2048, "1.2.840.113549.1.1.11"},
                                               {Kind::p256, "1.2.840.10045.4.3.2"},
                                               {Kind::p384, "1.2.840.10045.4.3.3"},
                                               {Kind::p521, "1.2.840.10045.4.3.4"},
                                               {Kind::ed25519, "1.3.101.112"}};
  for (const auto& [kind, oid] : rows) {
    const TestKey key = TestKey::fixed(kind);
    const auto signer = load_signer(Secret(key.pem()), Secret());
    CHECK(signer->public_key() == key.spki());
    const Bytes algorithm = signer->algorithm();
    const auto decoded = asn1::decode<X509_ALGOR_it, X509_ALGOR>(algorithm);
    REQUIRE(decoded);
    CHECK(asn1::dotted(decoded->algorithm) == oid);
    CHECK(signs(*signer));
  }
}

TEST_CASE("an encrypted key opens with its passphrase and no other") {
  const Secret pem(testing::kP256Key);
  const Secret sealed = encrypt_private_key(pem, Secret("correct horse"));
  CHECK(sealed.reveal().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
  CHECK(is_encrypted_private_key(sealed));
  const auto signer = load_signer(sealed, Secret("correct horse"));
  CHECK(signer->public_key() == TestKey::fixed(Kind::p256).spki());
  CHECK(signs(*signer));
  CHECK_THROWS_WITH_AS(load_signer(sealed, Secret("battery staple")),
                       doctest::Contains("passphrase"), std::runtime_error);
  CHECK_THROWS_WITH_AS(load_signer(sealed, Secret()), doctest::Contains("encrypted"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(encrypt_private_key(pem, Secret()), doctest::Contains("passphrase"),
                       std::runtime_error);
  CHECK_THROWS_AS(encrypt_private_key(pem, Secret(std::string(5000, 'x'))), std::runtime_error);
  CHECK_THROWS_AS(encrypt_private_key(sealed, Secret("again")), std::runtime_error);
}

TEST_CASE("an encrypted key is PBES2 with scrypt and AES-256-CBC") {
  const Secret sealed = encrypt_private_key(Secret(testing::kP256Key), Secret("pw"));
  const std::string_view text = sealed.reveal();
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  const std::unique_ptr<X509_SIG, void (*)(X509_SIG*)> outer(
      PEM_read_bio_PKCS8(bio.get(), nullptr, nullptr, nullptr), X509_SIG_free);
  REQUIRE(outer);
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(outer.get(), &algorithm, nullptr);
  CHECK(asn1::dotted(algorithm->algorithm) == "1.2.840.113549.1.5.13");
  const std::string parameters(as_text(asn1::octets_of(algorithm->parameter->value.sequence)));
  CHECK(parameters.find(as_text(Bytes{0x2B, 6, 1, 4, 1, 0xDA, 0x47, 4, 11})) !=
        std::string::npos);  // scrypt
  CHECK(parameters.find(as_text(Bytes{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42})) !=
        std::string::npos);  // aes256-CBC
}

TEST_CASE(
    "what is not a private key of ours is refused with a sentence, and never asked for on the "
    "terminal") {
  const TestKey key = TestKey::fixed(Kind::p256);
  std::string cut = key.pem();
  cut.resize(cut.size() / 2);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> x25519(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), EVP_PKEY_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PKCS8PrivateKey(bio.get(), x25519.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  const std::string exchange(text, static_cast<std::size_t>(size));
  for (const std::string& pem :
       {std::string(), std::string("key"), cut, exchange, std::string(100'000, 'A'),
        std::string("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")}) {
    CAPTURE(pem.substr(0, 40));
    CHECK_THROWS_AS(load_signer(Secret(pem), Secret("pw")), std::runtime_error);
  }
}

TEST_CASE("a file whose public key is another's is refused") {
  // SEC 1 carries both halves: the private number of one key beside the point of another.
  const TestKey one = TestKey::from_scalar(Kind::p256, 5);
  const TestKey two = TestKey::from_scalar(Kind::p256, 6);
  std::string der;
  for (const TestKey* key : {&one, &two}) {
    std::uint8_t* octets = nullptr;
    const int size = i2d_PrivateKey(key->handle(), &octets);
    const std::string encoded(reinterpret_cast<const char*>(octets),
                              static_cast<std::size_t>(size));
    OPENSSL_free(octets);
    der = der.empty() ? encoded
                      : der.substr(0, der.size() - 64) + encoded.substr(encoded.size() - 64);
  }
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio(bio.get(), "EC PRIVATE KEY", "", as_bytes(der).data(),
                static_cast<long>(der.size()));
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  CHECK_THROWS_AS(load_signer(Secret(std::string(text, static_cast<std::size_t>(size))), Secret()),
                  std::runtime_error);
}

TEST_CASE("traditional PEM loads, encrypted too") {
  const TestKey key = TestKey::fixed(Kind::rsa2048);
  for (const bool encrypted : {false, true}) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    const std::string passphrase = "pw";
    REQUIRE(PEM_write_bio_PrivateKey_traditional(
                bio.get(), key.handle(), encrypted ? EVP_aes_256_cbc() : nullptr,
                encrypted ? as_bytes(passphrase).data() : nullptr,
                encrypted ? static_cast<int>(passphrase.size()) : 0, nullptr, nullptr) == 1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    const Secret pem(std::string(text, static_cast<std::size_t>(size)));
    CHECK(is_encrypted_private_key(pem) == encrypted);
    CHECK(load_signer(pem, Secret(encrypted ? passphrase : ""))->public_key() == key.spki());
  }
}

TEST_CASE("a private key prints as asterisks") {
  std::ostringstream out;
  out << generate_private_key(NewKey::p256);
  CHECK(out.str() == "***");
}

}  // namespace

TEST_CASE("key kinds are known by name") {
  CHECK(new_key_from("p384") == NewKey::p384);
  CHECK(new_key_from("rsa3072") == NewKey::rsa3072);
  CHECK_FALSE(new_key_from("P256"));
  CHECK_FALSE(new_key_from("rsa1024"));
  CHECK(new_key_words() == "p256, p384, rsa2048, rsa3072, rsa4096");
}

}  // namespace gatehouse::crypto
