#include "acme-server/crypto/subject.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"

namespace gatehouse::crypto {

namespace {

constexpr std::uint8_t kUtf8String = 0x0c;
constexpr std::uint8_t kPrintableString = 0x13;
constexpr std::uint8_t kIa5String = 0x16;
constexpr std::string_view kCommonNameType = "2.5.4.3";

struct SubjectAttribute {
  std::string_view word, oid;
  std::uint8_t tag;
  std::size_t limit;
};

// RFC 5280 appendix A.1: countryName and serialNumber are PrintableString, domainComponent
// IA5String.
constexpr std::array<SubjectAttribute, 8> kAttributes = {{
    {"C", "2.5.4.6", kPrintableString, 2},
    {"ST", "2.5.4.8", kUtf8String, 128},
    {"L", "2.5.4.7", kUtf8String, 128},
    {"O", "2.5.4.10", kUtf8String, 64},
    {"OU", "2.5.4.11", kUtf8String, 64},
    {"CN", kCommonNameType, kUtf8String, 64},
    {"DC", "0.9.2342.19200300.100.1.25", kIa5String, 63},
    {"serialNumber", "2.5.4.5", kPrintableString, 64},
}};

// At commas that no backslash stands before; the backslashes are taken out.
std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      parts.emplace_back();
    } else {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      parts.back() += text[i];
    }
  }
  return parts;
}

bool is_printable_string(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

bool is_text_for(const SubjectAttribute& attribute, std::string_view value) {
  if (value.empty() || value.size() > attribute.limit) return false;
  if (attribute.oid == "2.5.4.6") {
    return value.size() == 2 &&
           std::ranges::all_of(value, [](char c) { return c >= 'A' && c <= 'Z'; });
  }
  if (attribute.tag == kPrintableString) return is_printable_string(value);
  if (attribute.tag == kIa5String) return std::ranges::all_of(value, is_visible);
  return is_utf8(value) &&
         std::ranges::none_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

Bytes relative_name(const SubjectAttribute& attribute, std::string_view value) {
  return der::set(
      {der::sequence({der::oid(attribute.oid), der::element(attribute.tag, as_bytes(value))})});
}

const SubjectAttribute& common_name_attribute() {
  return *std::ranges::find(kAttributes, kCommonNameType, &SubjectAttribute::oid);
}

bool is_common_name(const der::Element& relative_name) {
  der::Reader attributes(relative_name.content);
  const auto attribute = attributes.next(der::kSequence);
  if (!attribute) return false;
  const auto type = der::Reader(attribute->content).next();
  return type && std::ranges::equal(type->whole, der::oid(kCommonNameType));
}

}  // namespace

Expected<Bytes, std::string> parse_subject(std::string_view text) {
  Bytes names;
  for (const std::string& part : split_at_commas(text)) {
    const std::size_t equals = part.find('=');
    const std::string_view word = trim(std::string_view(part).substr(0, equals));
    const auto* attribute = std::ranges::find_if(kAttributes, [&](const SubjectAttribute& each) {
      return equals != std::string::npos && equals_ignoring_case(each.word, word);
    });
    if (attribute == kAttributes.end()) {
      return Unexpected{"\"" + sanitize(trim(part), 80) +
                        "\" is no part of a subject such as C=DE, O=Corp, CN=Corp Issuing CA; "
                        "known are C, ST, L, O, OU, CN, DC, serialNumber"};
    }
    const std::string_view value = trim(std::string_view(part).substr(equals + 1));
    if (!is_text_for(*attribute, value)) {
      return Unexpected{"\"" + sanitize(value, 80) + "\" cannot be the " +
                        std::string(attribute->word) + " of a subject: " +
                        (attribute->word == "C"
                             ? "a country is two capital letters, as in C=DE"
                             : "it is empty, longer than " + std::to_string(attribute->limit) +
                                   " characters, or has others than fit")};
    }
    der::append(names, relative_name(*attribute, value));
  }
  return der::element(der::kSequence, names);
}

Bytes with_common_name(ByteView name, const std::string& common_name) {
  const auto whole = der::Reader(name).next(der::kSequence);
  ACME_CHECK(whole.has_value());  // a Certificate's name is one that was read
  std::vector<der::Element> parts;
  for (der::Reader reader(whole->content); !reader.done();) parts.push_back(reader.next().value());
  const auto last = std::ranges::find_if(parts.rbegin(), parts.rend(), is_common_name);
  Bytes names;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    const bool replaced = last != parts.rend() && &*part == &*last;
    if (replaced) {
      der::append(names, relative_name(common_name_attribute(), common_name));
    } else {
      der::append(names, part->whole);
    }
  }
  if (last == parts.rend()) {
    der::append(names, relative_name(common_name_attribute(), common_name));
  }
  return der::element(der::kSequence, names);
}

}  // namespace gatehouse::crypto
