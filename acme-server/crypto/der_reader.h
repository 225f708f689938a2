// A reader of DER (X.690), element by element, that copies nothing: for lists too long to be
// decoded into objects. Plain bytes, no OpenSSL. For .cc files.
#pragma once

#include <cstdint>
#include <optional>

#include "acme-server/base/bytes.h"

namespace gatehouse::crypto::der {

struct Element {
  std::uint8_t tag;  // the identifier octet
  ByteView content;
  ByteView whole;  // with identifier and length
};

// The elements that stand one behind the other in `der`, which must outlive it. Takes identifiers
// of one octet and lengths as DER writes them: definite, in the fewest octets.
class Reader {
 public:
  explicit Reader(ByteView der) : rest_(der) {}

  bool done() const { return rest_.empty(); }

  bool next_is(std::uint8_t tag) const { return !rest_.empty() && rest_[0] == tag; }

  // The next element, which is passed; nothing, and nothing passed, when there is none or it does
  // not fit.
  std::optional<Element> next();
  // The same when it has `tag`; nothing when it has another.
  std::optional<Element> next(std::uint8_t tag);

 private:
  ByteView rest_;
};

// The octets of a BIT STRING without spare bits, as keys and signatures are; nothing of another, or
// of no element.
std::optional<ByteView> whole_octets(const std::optional<Element>& bits);

}  // namespace gatehouse::crypto::der
