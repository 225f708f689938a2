// TLS records that no library would send: OpenSSL makes the handshake, and these classes protect
// what a test puts into records of its own from then on.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "acme-server/base/hex.h"
#include "tests/http/served.h"

namespace gatehouse::testing {

inline std::string big_endian(std::uint64_t number, std::size_t octets) {
  std::string text;
  for (std::size_t i = octets; i-- > 0;) text += static_cast<char>(number >> (8 * i));
  return text;
}

inline std::string hmac_sha256(const std::string& key, const std::string& data) {
  std::string digest(32, '\0');
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &length);
  return digest;
}

// RFC 8446 section 7.1, for up to one block and an empty context.
inline std::string expand_label(const std::string& secret, const std::string& label,
                                std::size_t size) {
  const std::string full = "tls13 " + label;
  return hmac_sha256(secret, big_endian(size, 2) + big_endian(full.size(), 1) + full +
                                 std::string(1, '\0') + "\x01")
      .substr(0, size);
}

// RFC 5246 section 5.
inline std::string tls12_prf(const std::string& secret, const std::string& seed, std::size_t size) {
  std::string out;
  for (std::string a = hmac_sha256(secret, seed); out.size() < size; a = hmac_sha256(secret, a)) {
    out += hmac_sha256(secret, a + seed);
  }
  return out.substr(0, size);
}

inline std::string seal_aes128_gcm(const std::string& key, const std::string& nonce,
                                   const std::string& header, const std::string& plain) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(EVP_CIPHER_CTX_new(),
                                                                               EVP_CIPHER_CTX_free);
  const auto octets = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  std::string out(plain.size() + 16, '\0');
  auto* const to = reinterpret_cast<unsigned char*>(out.data());
  int count = 0;
  const bool sealed =
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, octets(key), octets(nonce)) &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &count, octets(header),
                        static_cast<int>(header.size())) &&
      EVP_EncryptUpdate(cipher.get(), to, &count, octets(plain), static_cast<int>(plain.size())) &&
      EVP_EncryptFinal_ex(cipher.get(), to + plain.size(), &count) &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, 16, to + plain.size());
  if (!sealed) throw std::runtime_error("cannot seal a record");
  return out;
}

enum class ContentType : std::uint8_t {
  change_cipher_spec = 20,
  alert = 21,
  handshake = 22,
  application_data = 23
};

// A client context of one version and of the one cipher that ForgedRecords knows.
inline ClientContext forging_context(int version) {
  auto context = client_context();
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_cipher_list(context.get(), "ECDHE-ECDSA-AES128-GCM-SHA256");
  SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_keylog_callback(context.get(), [](const SSL* ssl, const char* line) {
    static constexpr std::string_view kLabel = "CLIENT_TRAFFIC_SECRET_0 ";
    const std::string_view text(line);
    if (!text.starts_with(kLabel)) return;
    auto* const secret = static_cast<std::string*>(SSL_get_app_data(ssl));
    const Bytes octets = hex_decode(text.substr(text.rfind(' ') + 1)).value();
    if (secret) secret->assign(octets.begin(), octets.end());
  });
  return context;
}

// The client's side of a connection of forging_context(). After the handshake the client sends by
// this alone, since the records are numbered.
class ForgedRecords {
 public:
  // `secret`: what the key log said, for TLS 1.3.
  ForgedRecords(const SSL* ssl, const std::string& secret)
      : tls13_(SSL_version(ssl) == TLS1_3_VERSION), secret_(secret) {
    if (tls13_) {
      derive();
      return;
    }
    std::string master(48, '\0');
    std::string client(32, '\0');
    std::string server(32, '\0');
    const auto octets = [](std::string& text) {
      return reinterpret_cast<unsigned char*>(text.data());
    };
    SSL_SESSION_get_master_key(SSL_get_session(ssl), octets(master), master.size());
    SSL_get_client_random(ssl, octets(client), client.size());
    SSL_get_server_random(ssl, octets(server), server.size());
    const std::string block = tls12_prf(master, "key expansion" + server + client, 40);
    key_ = block.substr(0, 16);
    iv_ = block.substr(32, 4);
    sequence_ = 1;  // Finished was 0
  }

  std::string record(ContentType type, const std::string& content) {
    const auto number = big_endian(sequence_++, 8);
    const auto kind = static_cast<std::uint64_t>(type);
    if (!tls13_) {
      const auto header = big_endian(kind, 1) + "\x03\x03";
      return header + big_endian(content.size() + 24, 2) + number +
             seal_aes128_gcm(key_, iv_ + number, number + header + big_endian(content.size(), 2),
                             content);
    }
    const auto header = "\x17\x03\x03" + big_endian(content.size() + 17, 2);
    std::string nonce = iv_;
    for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<char>(nonce[4 + i] ^ number[i]);
    return header + seal_aes128_gcm(key_, nonce, header, content + big_endian(kind, 1));
  }

  // RFC 8446 section 4.6.3.
  std::string key_update(bool ask_for_one = false) {
    auto made = record(ContentType::handshake,
                       std::string("\x18\0\0\x01", 4) + (ask_for_one ? '\1' : '\0'));
    secret_ = expand_label(secret_, "traffic upd", 32);
    derive();
    return made;
  }

 private:
  void derive() {
    key_ = expand_label(secret_, "key", 16);
    iv_ = expand_label(secret_, "iv", 12);
    sequence_ = 0;
  }

  bool tls13_;
  std::string secret_;
  std::string key_;
  std::string iv_;
  std::uint64_t sequence_ = 0;
};

// A client that has made its handshake and can send forged records.
struct ForgingClient {
  ForgingClient(Client connected, int version)
      : context(forging_context(version)), client(std::move(connected)) {
    if (!client.start_tls(context.get(), "server.test", nullptr, &secret)) {
      throw std::runtime_error("no handshake");
    }
    records.emplace(client.ssl(), secret);
  }

  // As it is, past OpenSSL. False when the server has gone.
  bool send(std::string_view octets) const {
    while (!octets.empty()) {
      const ssize_t put = ::send(client.socket(), octets.data(), octets.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      octets.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }

  std::string secret;
  ClientContext context;
  Client client;
  std::optional<ForgedRecords> records;
};

}  // namespace gatehouse::testing
