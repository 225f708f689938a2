#include "acme-server/crypto/signer.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/openssl.h"
#include "acme-server/crypto/public_key.h"

namespace gatehouse::crypto {

namespace {

using Pkcs8Handle = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeWith<PKCS8_PRIV_KEY_INFO_free>>;
using SealedHandle = std::unique_ptr<X509_SIG, FreeWith<X509_SIG_free>>;
using AlgorithmHandle = std::unique_ptr<X509_ALGOR, FreeWith<X509_ALGOR_free>>;

// RFC 7914's own figures for files: 16 MiB and some 50 ms to try one passphrase.
constexpr std::uint64_t kScryptCost = 16384;
constexpr std::uint64_t kScryptBlock = 8;
constexpr std::uint64_t kScryptParallel = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kMaxPemBytes = 64 * 1024;

constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::string_view kExtensionRequest = "1.2.840.113549.1.9.14";

class FileSigner final : public Signer {
 public:
  explicit FileSigner(PkeyHandle key)
      : key_(std::move(key)),
        type_(jwk_of_pkey(*key_).type),
        public_key_(subject_public_key_info(jwk_of_pkey(*key_))),
        begun_(require_handle(DigestContext(EVP_MD_CTX_new()), "preparing a key")) {
    require_openssl(EVP_DigestSignInit(begun_.get(), nullptr, signature_digest_of(type_), nullptr,
                                       key_.get()) == 1,
                    "preparing a key");
  }

  Bytes public_key() const override { return public_key_; }

  Bytes algorithm() const override {
    const ByteView identifier = signature_algorithm_of(type_);
    return {identifier.begin(), identifier.end()};
  }

  Bytes sign(ByteView message) override {
    const auto context = require_handle(DigestContext(EVP_MD_CTX_new()), "signing");
    auto size = static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()));
    Bytes signature(size);
    require_openssl(EVP_MD_CTX_copy_ex(context.get(), begun_.get()) == 1 &&
                        EVP_DigestSign(context.get(), signature.data(), &size, message.data(),
                                       message.size()) == 1,
                    "signing");
    signature.resize(size);
    return signature;
  }

 private:
  PkeyHandle key_;
  KeyType type_;
  Bytes public_key_;
  DigestContext begun_;  // copying it costs a tenth of beginning
};

BioHandle reading(const Secret& pem) {
  const std::string_view text = pem.reveal();
  if (text.size() > kMaxPemBytes)
    throw std::runtime_error("the private key file is larger than any key; is it one?");
  return require_handle(BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))),
                        "reading a key");
}

// What was written to a memory BIO; OpenSSL wipes its copy when it frees it.
Secret text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return Secret(std::string(data, static_cast<std::size_t>(size)));
}

// OpenSSL's passphrase callback. Without one it would ask on the terminal.
int give_passphrase(char* buffer, int size, int /*writing*/, void* passphrase) {
  const std::string_view text = static_cast<const Secret*>(passphrase)->reveal();
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(buffer, text.data(), text.size());
  return static_cast<int>(text.size());
}

PkeyHandle load(const Secret& pem, const Secret& passphrase) {
  const BioHandle bio = reading(pem);
  PkeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase,
                                         const_cast<Secret*>(&passphrase)));
  drain_openssl_errors();  // it tries several formats, and leaves the failures of those that did
                           // not fit
  if (key) return key;
  if (!is_encrypted_private_key(pem))
    throw std::runtime_error("the text is not a PEM private key (PKCS#8, RSA or EC)");
  throw std::runtime_error(passphrase.empty()
                               ? "the private key is encrypted; give its passphrase"
                               : "the private key cannot be decrypted; check its passphrase");
}

PkeyHandle generate(NewKey kind) {
  switch (kind) {
    case NewKey::p256:
      return PkeyHandle(EVP_EC_gen("P-256"));
    case NewKey::p384:
      return PkeyHandle(EVP_EC_gen("P-384"));
    case NewKey::rsa2048:
      return PkeyHandle(EVP_RSA_gen(2048));
    case NewKey::rsa3072:
      return PkeyHandle(EVP_RSA_gen(3072));
    case NewKey::rsa4096:
      return PkeyHandle(EVP_RSA_gen(4096));
  }
  ACME_CHECK(false);
  return nullptr;
}

// RFC 8018 PBES2: scrypt (RFC 7914), AES-256-CBC.
SealedHandle seal(const PKCS8_PRIV_KEY_INFO& key, const Secret& passphrase) {
  std::array<std::uint8_t, kSaltBytes> salt{};
  require_openssl(RAND_bytes(salt.data(), static_cast<int>(salt.size())) == 1, "choosing a salt");
  AlgorithmHandle algorithm =
      require_handle(AlgorithmHandle(PKCS5_pbe2_set_scrypt(
                         EVP_aes_256_cbc(), salt.data(), static_cast<int>(salt.size()), nullptr,
                         kScryptCost, kScryptBlock, kScryptParallel)),
                     "encrypting a key");
  const std::string_view text = passphrase.reveal();
  // PKCS8_set0_pbe only reads the key, and takes the algorithm over when it succeeds.
  SealedHandle sealed(PKCS8_set0_pbe(text.data(), static_cast<int>(text.size()),
                                     const_cast<PKCS8_PRIV_KEY_INFO*>(&key), algorithm.get()));
  require_openssl(sealed != nullptr, "encrypting a key");
  static_cast<void>(algorithm.release());
  return sealed;
}

}  // namespace

Bytes signature_algorithm_for(ByteView spki) {
  const auto key = read_spki(spki);
  if (!key) throw std::runtime_error("no key to sign with: " + key.error());
  const ByteView identifier = signature_algorithm_of(key->type);
  return {identifier.begin(), identifier.end()};
}

std::optional<NewKey> new_key_from(std::string_view word) {
  const auto* const name = std::ranges::find(kNewKeys, word, &NewKeyName::word);
  return name == kNewKeys.end() ? std::nullopt : std::optional(name->kind);
}

std::string new_key_words() {
  std::vector<std::string> words;
  for (const NewKeyName& name : kNewKeys) words.emplace_back(name.word);
  return join(words, ", ");
}

Secret generate_private_key(NewKey kind) {
  const PkeyHandle key = require_handle(generate(kind), "generating a key");
  const BioHandle bio = require_handle(BioHandle(BIO_new(BIO_s_mem())), "writing a key");
  require_openssl(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                                nullptr) == 1,
                  "writing a key");
  return text_of(bio.get());
}

bool is_encrypted_private_key(const Secret& pem) {
  const std::string_view text = pem.reveal();
  return text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string_view::npos ||
         text.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

Secret encrypt_private_key(const Secret& pem, const Secret& passphrase) {
  if (passphrase.empty())
    throw std::runtime_error("an empty passphrase protects nothing; choose one");
  if (passphrase.reveal().size() > PEM_BUFSIZE) {
    throw std::runtime_error("the passphrase is longer than " + std::to_string(PEM_BUFSIZE) +
                             " characters");
  }
  const PkeyHandle key = load(pem, Secret());
  const Pkcs8Handle plain =
      require_handle(Pkcs8Handle(EVP_PKEY2PKCS8(key.get())), "encrypting a key");
  const SealedHandle sealed = seal(*plain, passphrase);
  const BioHandle bio = require_handle(BioHandle(BIO_new(BIO_s_mem())), "writing a key");
  require_openssl(PEM_write_bio_PKCS8(bio.get(), sealed.get()) == 1, "writing a key");
  return text_of(bio.get());
}

std::unique_ptr<Signer> load_signer(const Secret& pem, const Secret& passphrase) {
  PkeyHandle key = load(pem, passphrase);
  const KeyType type = jwk_of_pkey(*key).type;  // refuses what we do not sign with
  // A file whose public half is another key's would sign what nobody can verify.
  const auto context = require_handle(
      PkeyContext(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)), "checking");
  if (type != KeyType::ed25519 && EVP_PKEY_pairwise_check(context.get()) != 1) {
    drain_openssl_errors();
    throw std::runtime_error("the private key does not go with the public key in the same file");
  }
  return std::make_unique<FileSigner>(std::move(key));
}

Bytes make_csr(Signer& signer, const std::vector<std::string>& dns_names,
               const std::vector<std::string>& ip_addresses) {
  Bytes names;
  for (const std::string& name : dns_names)
    der::append(names, der::element(der::primitive_tag(2), as_bytes(name)));
  for (const std::string& text : ip_addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) throw std::runtime_error("\"" + text + "\" is not an IP address");
    der::append(names, der::element(der::primitive_tag(7), address->bytes()));
  }
  const Bytes extension = der::sequence({der::oid(kSubjectAltName), der::boolean_true(),
                                         der::octet_string(der::element(der::kSequence, names))});
  const Bytes request =
      der::sequence({der::oid(kExtensionRequest), der::set({der::sequence({extension})})});
  const Bytes info =
      der::sequence({der::integer(std::uint64_t{0}), der::sequence({}), signer.public_key(),
                     der::element(der::constructed_tag(0), request)});
  return der::sequence({info, signer.algorithm(), der::bit_string(signer.sign(info))});
}

}  // namespace gatehouse::crypto
