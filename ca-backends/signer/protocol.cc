#include "ca-backends/signer/protocol.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/net/unix_stream.h"

namespace gatehouse::backends {
namespace {

using LengthOctets = std::array<std::uint8_t, 4>;

constexpr std::size_t kHead = 1 + std::tuple_size_v<KeyId>;
// How much memory is taken for octets that have not come yet.
constexpr std::size_t kAhead = 1024 * 1024;

LengthOctets octets_of(std::size_t length) {
  return {static_cast<std::uint8_t>(length >> 24U), static_cast<std::uint8_t>(length >> 16U),
          static_cast<std::uint8_t>(length >> 8U), static_cast<std::uint8_t>(length)};
}

Bytes read_rest(const net::UnixStream& stream, const LengthOctets& head, std::size_t limit,
                Deadline deadline) {
  std::size_t length = 0;
  for (const std::uint8_t octet : head) length = length << 8U | octet;
  if (length > limit) {
    throw net::UnixStreamError("a message of " + std::to_string(length) + " octets; at most " +
                               std::to_string(limit) + " are taken");
  }
  Bytes message;
  while (message.size() < length) {
    const std::size_t begin = message.size();
    message.resize(std::min(length, std::max(begin * 2, kAhead)));
    stream.read(std::span(message).subspan(begin), deadline);
  }
  return message;
}

}  // namespace

std::optional<SignerRequest> parse_signer_request(ByteView message) {
  if (message.size() < kHead) return std::nullopt;
  SignerRequest request{.operation = static_cast<SignerOperation>(message[0]),
                        .key = {},
                        .tbs = message.subspan(kHead)};
  std::ranges::copy(message.subspan(1, request.key.size()), request.key.begin());
  switch (request.operation) {
    case SignerOperation::public_key:
      return request.tbs.empty() ? std::optional(request) : std::nullopt;
    case SignerOperation::sign_certificate:
    case SignerOperation::sign_crl:
      return request;
  }
  return std::nullopt;
}

Bytes signer_request_head(SignerOperation operation, const KeyId& key, std::size_t tbs) {
  const LengthOctets length = octets_of(kHead + tbs);
  Bytes head(length.begin(), length.end());
  head.push_back(static_cast<std::uint8_t>(operation));
  head.insert(head.end(), key.begin(), key.end());
  return head;
}

Bytes read_message(const net::UnixStream& stream, std::size_t limit, Deadline deadline) {
  LengthOctets head{};
  stream.read(head, deadline);
  return read_rest(stream, head, limit, deadline);
}

Bytes read_message(const net::UnixStream& stream, std::size_t limit,
                   std::chrono::milliseconds once_begun) {
  LengthOctets head{};
  stream.read(std::span(head).first(1), std::nullopt);
  const Deadline deadline = Deadline::in(once_begun);
  stream.read(std::span(head).subspan(1), deadline);
  return read_rest(stream, head, limit, deadline);
}

void write_answer(const net::UnixStream& stream, bool done, ByteView content, Deadline deadline) {
  const LengthOctets length = octets_of(1 + content.size());
  Bytes answer(length.begin(), length.end());
  answer.push_back(done ? 0 : 1);
  answer.insert(answer.end(), content.begin(), content.end());
  stream.write(answer, deadline);
}

}  // namespace gatehouse::backends
