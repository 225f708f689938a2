#include "ca-backends/est/est_message.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"

namespace gatehouse::backends {
namespace {

constexpr std::string_view kPemBegin = "-----BEGIN ";
constexpr std::string_view kPemEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr char kDerSequence = 0x30;

// What stands between the lines of the first block; nothing when it has no end.
std::optional<std::string_view> inside_pem(std::string_view text) {
  text.remove_prefix(text.find(kPemBegin) + kPemBegin.size());
  const std::size_t label = text.find(kDashes);
  if (label == std::string_view::npos) return std::nullopt;
  text.remove_prefix(label + kDashes.size());
  const std::size_t end = text.find(kPemEnd);
  if (end == std::string_view::npos) return std::nullopt;
  return text.substr(0, end);
}

// RFC 8951 section 3: "base64 … not … any line breaks" is as good as lines; some servers leave the
// padding out.
std::optional<Bytes> decode_loose_base64(std::string_view text) {
  constexpr std::size_t kGroup = 4;
  std::string packed;
  packed.reserve(text.size() + kGroup);
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') packed.push_back(c);
  }
  while (packed.size() % kGroup != 0) packed.push_back('=');
  return base64_decode(packed);
}

}  // namespace

std::string est_request_body(ByteView csr_der) {
  constexpr std::size_t kColumns = 64;
  const std::string base64 = base64_encode(csr_der);
  std::string body;
  for (std::size_t at = 0; at < base64.size(); at += kColumns) {
    body += base64.substr(at, kColumns) + "\r\n";
  }
  return body;
}

std::optional<Bytes> decode_est_body(std::string_view body) {
  if (body.empty()) return std::nullopt;
  // "0", as text, would be base64 of something that is no SEQUENCE.
  if (body.front() == kDerSequence) return Bytes(body.begin(), body.end());
  if (body.find(kPemBegin) == std::string_view::npos) return decode_loose_base64(body);
  const auto inside = inside_pem(body);
  return inside ? decode_loose_base64(*inside) : std::nullopt;
}

Expected<std::string, std::string> est_certificates(std::string_view body) {
  const bool pem = body.find(kPemBegin) != std::string_view::npos;
  const std::optional<Bytes> octets = pem ? std::nullopt : decode_est_body(body);
  if (!pem && !octets) return Unexpected{std::string("it is neither base64 nor PEM nor DER")};
  const auto bag = crypto::read_certificate_bag(pem ? as_bytes(body) : ByteView(*octets));
  if (!bag) return Unexpected{bag.error()};
  std::string text;
  for (const crypto::Certificate& each : bag->certificates) text += crypto::to_pem(each.der);
  return text;
}

}  // namespace gatehouse::backends
