#include "acme-server/crypto/aead.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kMaxMessageBytes =
    4096;  // short messages; keeps every length within OpenSSL's int

}  // namespace

struct Aead::Impl {
  // OpenSSL's contexts, which hold the key: giving it to them costs more than a short message does.
  struct Contexts {
    CipherContext sealing, opening;
  };

  Guarded<Contexts> contexts;
};

Aead::Aead(Entropy& entropy) : impl_(std::make_unique<Impl>()) {
  const std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>> cipher(
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  require_openssl(cipher != nullptr, "looking for AES-256-GCM");
  std::array<std::uint8_t, 32> key{};
  entropy.fill(key);
  impl_->contexts.with([&](Impl::Contexts& contexts) {
    contexts.sealing.reset(EVP_CIPHER_CTX_new());
    contexts.opening.reset(EVP_CIPHER_CTX_new());
    require_openssl(contexts.sealing != nullptr && contexts.opening != nullptr &&
                        EVP_EncryptInit_ex2(contexts.sealing.get(), cipher.get(), key.data(),
                                            nullptr, nullptr) == 1 &&
                        EVP_DecryptInit_ex2(contexts.opening.get(), cipher.get(), key.data(),
                                            nullptr, nullptr) == 1,
                    "taking a key");
  });
  OPENSSL_cleanse(key.data(), key.size());
}

Aead::~Aead() = default;

Bytes Aead::seal(const std::array<std::uint8_t, 12>& iv, ByteView plaintext) const {
  ACME_CHECK(plaintext.size() <= kMaxMessageBytes);
  Bytes sealed(plaintext.size() + kTagBytes);
  const bool ok = impl_->contexts.with([&](Impl::Contexts& contexts) {
    EVP_CIPHER_CTX* const context = contexts.sealing.get();
    int length = 0;
    int rest = 0;
    return EVP_EncryptInit_ex2(context, nullptr, nullptr, iv.data(), nullptr) == 1 &&
           EVP_EncryptUpdate(context, sealed.data(), &length, plaintext.data(),
                             static_cast<int>(plaintext.size())) == 1 &&
           EVP_EncryptFinal_ex(context, sealed.data() + length, &rest) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                               sealed.data() + plaintext.size()) == 1;
  });
  require_openssl(ok, "sealing");
  return sealed;
}

std::optional<Bytes> Aead::open(const std::array<std::uint8_t, 12>& iv, ByteView sealed) const {
  if (sealed.size() < kTagBytes || sealed.size() > kMaxMessageBytes + kTagBytes)
    return std::nullopt;
  const ByteView ciphertext = sealed.first(sealed.size() - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag{};
  std::ranges::copy(sealed.last(kTagBytes), tag.begin());
  Bytes plaintext(ciphertext.size() + 1);  // never empty, so that there is an address to write to
  const bool genuine = impl_->contexts.with([&](Impl::Contexts& contexts) {
    EVP_CIPHER_CTX* const context = contexts.opening.get();
    int length = 0;
    int rest = 0;
    require_openssl(
        EVP_DecryptInit_ex2(context, nullptr, nullptr, iv.data(), nullptr) == 1 &&
            EVP_DecryptUpdate(context, plaintext.data(), &length, ciphertext.data(),
                              static_cast<int>(ciphertext.size())) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1,
        "opening");
    return EVP_DecryptFinal_ex(context, plaintext.data() + length, &rest) == 1;
  });
  if (!genuine) {
    drain_openssl_errors();
    return std::nullopt;
  }
  plaintext.resize(ciphertext.size());
  return plaintext;
}

}  // namespace gatehouse::crypto
