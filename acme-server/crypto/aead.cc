#include "acme-server/crypto/aead.h"

#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/entropy.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kMaxMessageBytes =
    4096;  // short messages; keeps every length within OpenSSL's int

}  // namespace

struct Aead::Impl {
  Impl() = default;

  ~Impl() { OPENSSL_cleanse(key.data(), key.size()); }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::array<std::uint8_t, 32> key{};
  // Fetched once: OpenSSL 3 otherwise looks the cipher up, under a lock, at every call.
  std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>> cipher{
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
};

Aead::Aead(Entropy& entropy) : impl_(std::make_unique<Impl>()) {
  require_openssl(impl_->cipher != nullptr, "looking for AES-256-GCM");
  entropy.fill(impl_->key);
}

Aead::~Aead() = default;

Bytes Aead::seal(const std::array<std::uint8_t, 12>& iv, ByteView plaintext) const {
  ACME_CHECK(plaintext.size() <= kMaxMessageBytes);
  const auto context = require_handle(CipherContext(EVP_CIPHER_CTX_new()), "sealing");
  Bytes sealed(plaintext.size() + kTagBytes);
  int length = 0;
  int rest = 0;
  const bool ok = EVP_EncryptInit_ex2(context.get(), impl_->cipher.get(), impl_->key.data(),
                                      iv.data(), nullptr) == 1 &&
                  EVP_EncryptUpdate(context.get(), sealed.data(), &length, plaintext.data(),
                                    static_cast<int>(plaintext.size())) == 1 &&
                  EVP_EncryptFinal_ex(context.get(), sealed.data() + length, &rest) == 1 &&
                  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                                      sealed.data() + plaintext.size()) == 1;
  require_openssl(ok, "sealing");
  return sealed;
}

std::optional<Bytes> Aead::open(const std::array<std::uint8_t, 12>& iv, ByteView sealed) const {
  if (sealed.size() < kTagBytes || sealed.size() > kMaxMessageBytes + kTagBytes)
    return std::nullopt;
  const ByteView ciphertext = sealed.first(sealed.size() - kTagBytes);
  Bytes tag(sealed.end() - kTagBytes, sealed.end());
  const auto context = require_handle(CipherContext(EVP_CIPHER_CTX_new()), "opening");
  Bytes plaintext(ciphertext.size() + 1);  // never empty, so that there is an address to write to
  int length = 0;
  int rest = 0;
  require_openssl(
      EVP_DecryptInit_ex2(context.get(), impl_->cipher.get(), impl_->key.data(), iv.data(),
                          nullptr) == 1 &&
          EVP_DecryptUpdate(context.get(), plaintext.data(), &length, ciphertext.data(),
                            static_cast<int>(ciphertext.size())) == 1 &&
          EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1,
      "opening");
  if (EVP_DecryptFinal_ex(context.get(), plaintext.data() + length, &rest) != 1) {
    drain_openssl_errors();
    return std::nullopt;
  }
  plaintext.resize(ciphertext.size());
  return plaintext;
}

}  // namespace gatehouse::crypto
