// Signer: one private key that signs bytes. The key in a file; in tests, a recorder round it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

// Signs what it is handed, with one key. Safe to call from many threads. Throws std::runtime_error
// when the key is out of reach just now: the caller tries again later.
class Signer {
 public:
  virtual ~Signer() = default;

  // DER SubjectPublicKeyInfo of the key.
  virtual Bytes public_key() const = 0;
  // DER AlgorithmIdentifier of the signatures it makes: ecdsa-with-SHA256 (P-256), -SHA384 (P-384),
  // -SHA512 (P-521), sha256WithRSAEncryption, Ed25519.
  virtual Bytes algorithm() const = 0;
  // The signature over `message` as X.509 carries it (ECDSA in DER).
  virtual Bytes sign(ByteView message) = 0;

  // Why the key is out of reach now, for readiness; nothing when it is not.
  virtual std::optional<std::string> why_out_of_reach() { return std::nullopt; }
};

// What algorithm() says of a key, from its public half. Throws std::runtime_error for a kind of key
// that we do not sign with.
Bytes signature_algorithm_for(ByteView spki);

enum class NewKey { p256, p384, rsa2048, rsa3072, rsa4096 };

struct NewKeyName {
  NewKey kind;
  std::string_view word;
};

// As the command line spells them.
inline constexpr std::array<NewKeyName, 5> kNewKeys = {{{NewKey::p256, "p256"},
                                                        {NewKey::p384, "p384"},
                                                        {NewKey::rsa2048, "rsa2048"},
                                                        {NewKey::rsa3072, "rsa3072"},
                                                        {NewKey::rsa4096, "rsa4096"}}};

// The kind of a word; nothing for any other text.
std::optional<NewKey> new_key_from(std::string_view word);
// "p256, p384, …": for help and messages.
std::string new_key_words();

// A new private key, unencrypted PKCS#8 PEM.
Secret generate_private_key(NewKey kind);

// True when `pem` is a private key that needs a passphrase.
bool is_encrypted_private_key(const Secret& pem);

// Encrypts PKCS#8 PEM with `passphrase`: PBES2, scrypt, AES-256-CBC.
Secret encrypt_private_key(const Secret& pem, const Secret& passphrase);

// Loads a PKCS#8 or traditional PEM private key; `passphrase` is used when it is encrypted. Throws
// std::runtime_error with a sentence (not a key, wrong passphrase, a kind of key that we do not
// sign with).
std::unique_ptr<Signer> load_signer(const Secret& pem, const Secret& passphrase);

// A PKCS#10 request for `dns_names` and `ip_addresses`, signed by the key: for the listener's own
// certificate, tests.
Bytes make_csr(Signer& signer, const std::vector<std::string>& dns_names,
               const std::vector<std::string>& ip_addresses);

}  // namespace gatehouse::crypto
