// What a server and its signer say to each other over a unix socket: one request, one answer,
// however often.
//
//   message   length (4 octets, big-endian), then so many octets
//   request   operation (1), SHA-256 of the key's SubjectPublicKeyInfo (32), what is to be signed
//   answer    0 and what was asked for, or 1 and a sentence that says why not
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/net/unix_stream.h"

namespace gatehouse::backends {

enum class SignerOperation : std::uint8_t {
  public_key = 1,        // gives the SubjectPublicKeyInfo
  sign_certificate = 2,  // a TBSCertificate; gives the signature
  sign_crl = 3,          // a TBSCertList; gives the signature
};

// A TBSCertList of two million entries. Memory is taken as the octets come, not before.
inline constexpr std::size_t kMaxSignerMessage = std::size_t{128} << 20U;
inline constexpr std::size_t kMaxSignerAnswer = std::size_t{64} * 1024;

// A key by the SHA-256 of its SubjectPublicKeyInfo.
using KeyId = crypto::Sha256;

struct SignerRequest {
  SignerOperation operation;
  KeyId key;
  ByteView tbs;  // within the message
};

// Nothing when `message` is no request.
std::optional<SignerRequest> parse_signer_request(ByteView message);

// The octets that stand before `tbs` in a request, the message's length too.
Bytes signer_request_head(SignerOperation operation, const KeyId& key, std::size_t tbs);

// Reads one message of at most `limit` octets; its first octet may come whenever it likes. Throws
// net::UnixStreamError, also for one that is longer.
Bytes read_message(const net::UnixStream& stream, std::size_t limit, Deadline deadline);
Bytes read_message(const net::UnixStream& stream, std::size_t limit,
                   std::chrono::milliseconds once_begun);

// Writes an answer: `content` is what was asked for, or the sentence that says why not.
void write_answer(const net::UnixStream& stream, bool done, ByteView content, Deadline deadline);

}  // namespace gatehouse::backends
