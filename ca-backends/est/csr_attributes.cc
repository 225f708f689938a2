#include "ca-backends/est/csr_attributes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/der_reader.h"

namespace gatehouse::backends {
namespace {

constexpr std::uint8_t kTagOid = 0x06;
constexpr std::uint8_t kTagSequence = 0x30;
constexpr std::uint8_t kTagSet = 0x31;
constexpr std::size_t kMaxOidOctets = 64;

struct OidName {
  std::string_view oid, name;
};

constexpr OidName kOidNames[] = {
    {"1.2.840.113549.1.9.7", "a challengePassword"},
    {"1.2.840.113549.1.9.14", "extensions"},
    {"1.2.840.113549.1.9.1", "an e-mail address"},
    {"2.5.4.3", "a common name"},
    {"2.5.4.5", "a serial number in the subject"},
    {"2.5.4.6", "a country in the subject"},
    {"2.5.4.7", "a locality in the subject"},
    {"2.5.4.8", "a state in the subject"},
    {"2.5.4.10", "an organization in the subject"},
    {"2.5.4.11", "an organizational unit in the subject"},
    {"2.5.29.14", "a subject key identifier"},
    {"2.5.29.15", "key usages"},
    {"2.5.29.17", "subject alternative names"},
    {"2.5.29.37", "extended key usages"},
    {"1.2.840.113549.1.1.1", "an RSA key"},
    {"1.2.840.113549.1.1.11", "a signature by RSA with SHA-256"},
    {"1.2.840.113549.1.1.12", "a signature by RSA with SHA-384"},
    {"1.2.840.113549.1.1.13", "a signature by RSA with SHA-512"},
    {"1.2.840.10045.2.1", "an EC key"},
    {"1.2.840.10045.3.1.7", "P-256"},
    {"1.3.132.0.34", "P-384"},
    {"1.3.132.0.35", "P-521"},
    {"1.2.840.10045.4.3.2", "a signature by ECDSA with SHA-256"},
    {"1.2.840.10045.4.3.3", "a signature by ECDSA with SHA-384"},
    {"1.2.840.10045.4.3.4", "a signature by ECDSA with SHA-512"},
};

// X.690 section 8.19. Nothing for what is cut short, or has a part past 2^32.
std::optional<std::string> dotted_oid(ByteView content) {
  if (content.empty() || content.size() > kMaxOidOctets) return std::nullopt;
  std::string text;
  std::uint64_t part = 0;
  bool within = false;
  for (const std::uint8_t octet : content) {
    part = (part << 7U) | (octet & 0x7fU);
    within = (octet & 0x80U) != 0;
    if (part > UINT32_MAX) return std::nullopt;
    if (within) continue;
    if (text.empty()) {
      const std::uint64_t first = std::min<std::uint64_t>(part / 40, 2);
      text = std::to_string(first) + "." + std::to_string(part - first * 40);
    } else {
      text += "." + std::to_string(part);
    }
    part = 0;
  }
  return within ? std::nullopt : std::optional(text);
}

std::string oid_in_words(const std::string& oid) {
  const auto* const found = std::ranges::find(kOidNames, oid, &OidName::oid);
  return found == std::end(kOidNames) ? oid : std::string(found->name) + " (" + oid + ")";
}

// OIDs anywhere within the values of an attribute, in their order: names of extensions, a curve.
void collect_oids(ByteView der, int depth, std::vector<std::string>& into) {
  constexpr int kMaxDepth = 5;
  crypto::der::Reader reader(der);
  while (const auto element = reader.next()) {
    if (into.size() >= kMaxCsrAttributes) return;
    if (element->tag == kTagOid) {
      if (const auto oid = dotted_oid(element->content)) into.push_back(oid_in_words(*oid));
    } else if ((element->tag == kTagSequence || element->tag == kTagSet) && depth < kMaxDepth) {
      collect_oids(element->content, depth + 1, into);
    }
  }
}

// Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }
std::optional<std::string> described_attribute(ByteView sequence) {
  crypto::der::Reader reader(sequence);
  const auto type = reader.next(kTagOid);
  const auto oid = type ? dotted_oid(type->content) : std::nullopt;
  const auto values = oid ? reader.next(kTagSet) : std::nullopt;
  if (!values || !reader.done()) return std::nullopt;
  std::vector<std::string> value_words;
  collect_oids(values->content, 0, value_words);
  return oid_in_words(*oid) + (value_words.empty() ? "" : ": " + join(value_words, ", "));
}

}  // namespace

Expected<std::vector<std::string>, std::string> describe_csr_attributes(ByteView der) {
  crypto::der::Reader outer(der);
  const auto list = outer.next(kTagSequence);
  if (!list || !outer.done()) return Unexpected{std::string("it is no CsrAttrs in DER")};
  std::vector<std::string> described;
  crypto::der::Reader reader(list->content);
  while (!reader.done()) {
    const auto element = reader.next();
    std::optional<std::string> words;
    if (element && element->tag == kTagOid) {
      const auto oid = dotted_oid(element->content);
      if (oid) words = oid_in_words(*oid);
    } else if (element && element->tag == kTagSequence) {
      words = described_attribute(element->content);
    }
    if (!words)
      return Unexpected{std::string("an element of it is neither an OID nor an attribute")};
    if (described.size() == kMaxCsrAttributes) {
      return Unexpected{"it has more than " + std::to_string(kMaxCsrAttributes) + " elements"};
    }
    described.push_back(std::move(*words));
  }
  return described;
}

}  // namespace gatehouse::backends
