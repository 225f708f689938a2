#include "acme-server/crypto/der_reader.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/der.h"

namespace gatehouse::crypto::der {

std::optional<Element> Reader::next() {
  constexpr std::size_t kLengthOctets = 4;  // 4 GiB: no list of ours is longer
  if (rest_.size() < 2 || (rest_[0] & 0x1FU) == 0x1FU) return std::nullopt;
  std::size_t length = rest_[1];
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t octets = length - 0x80;
    if (octets == 0 || octets > kLengthOctets || rest_.size() < header + octets) {
      return std::nullopt;
    }
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8U | rest_[header++];
    if (length < 0x80 || length >> (8 * (octets - 1)) == 0) return std::nullopt;
  }
  if (rest_.size() - header < length) return std::nullopt;
  const Element element{.tag = rest_[0],
                        .content = rest_.subspan(header, length),
                        .whole = rest_.first(header + length)};
  rest_ = rest_.subspan(header + length);
  return element;
}

std::optional<Element> Reader::next(std::uint8_t tag) {
  if (!next_is(tag)) return std::nullopt;
  return next();
}

std::optional<ByteView> whole_octets(const std::optional<Element>& bits) {
  if (!bits || bits->tag != kBitString || bits->content.empty() || bits->content[0] != 0) {
    return std::nullopt;
  }
  return bits->content.subspan(1);
}

}  // namespace gatehouse::crypto::der
