#include "acme-server/net/dns_message.h"

#include <ares.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

std::string_view to_string(RecordType type) {
  switch (type) {
    case RecordType::A:
      return "A";
    case RecordType::CNAME:
      return "CNAME";
    case RecordType::TXT:
      return "TXT";
    case RecordType::AAAA:
      return "AAAA";
    case RecordType::CAA:
      return "CAA";
  }
  return "?";
}

namespace {

constexpr std::uint16_t kClassInternet = 1;

struct Header {
  bool response = false;
  bool truncated = false;
  bool authenticated = false;
  int opcode = 0;
  int rcode = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
};

struct Record {
  std::string owner;
  std::uint16_t type = 0;
  std::uint16_t record_class = 0;
  ByteView data;
  std::size_t data_at = 0;  // in the message, for names that point back into it
};

// A cursor over the message. Every take is nothing when the message is too short.
class Reader {
 public:
  explicit Reader(ByteView message) : message_(message) {}

  std::optional<std::uint16_t> take_u16() {
    const auto octets = take(2);
    if (!octets) return std::nullopt;
    return static_cast<std::uint16_t>((*octets)[0] << 8 | (*octets)[1]);
  }

  std::optional<ByteView> take(std::size_t size) {
    if (message_.size() - at_ < size) return std::nullopt;
    const ByteView taken = message_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  std::optional<std::string> take_name() {
    auto name = name_at(at_);
    if (!name) return std::nullopt;
    at_ += name->size;
    return std::move(name->text);
  }

  std::optional<Record> take_record() {
    Record record;
    auto owner = take_name();
    const auto type = take_u16();
    const auto record_class = take_u16();
    const auto ttl = take(4);
    const auto size = take_u16();
    if (!owner || !type || !record_class || !ttl || !size) return std::nullopt;
    record.data_at = at_;
    const auto data = take(*size);
    if (!data) return std::nullopt;
    record.owner = std::move(*owner);
    record.type = *type;
    record.record_class = *record_class;
    record.data = *data;
    return record;
  }

  struct Name {
    std::string text;      // dots inside labels and what is not printable escaped with a backslash
    std::size_t size = 0;  // octets it takes where it stands
  };

  std::optional<Name> name_at(std::size_t at) const {
    if (at >= message_.size()) return std::nullopt;
    char* text = nullptr;
    long size = 0;
    const int status = ares_expand_name(message_.data() + at, message_.data(),
                                        static_cast<int>(message_.size()), &text, &size);
    if (status != ARES_SUCCESS) return std::nullopt;
    const std::unique_ptr<char, decltype(&ares_free_string)> owned(
        text, [](void* p) { ares_free_string(p); });
    return Name{.text = owned.get(), .size = static_cast<std::size_t>(size)};
  }

 private:
  ByteView message_;
  std::size_t at_ = 0;
};

std::string_view without_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool same_name(std::string_view a, std::string_view b) {
  return equals_ignoring_case(without_dot(a), without_dot(b));
}

std::string records_of(const std::string& name, RecordType type) {
  return "the " + std::string(to_string(type)) + " records of " + sanitize(name, 253);
}

DnsError malformed(const std::string& name, RecordType type, std::string_view why) {
  return {.kind = DnsError::Kind::malformed,
          .detail = "the resolver's answer for " + records_of(name, type) +
                    " cannot be used: " + std::string(why)};
}

std::optional<Header> take_header(Reader& reader) {
  Header header;
  const auto id = reader.take_u16();  // c-ares has matched it
  const auto flags = reader.take_u16();
  const auto questions = reader.take_u16();
  const auto answers = reader.take_u16();
  const auto others = reader.take(4);
  if (!id || !flags || !questions || !answers || !others) return std::nullopt;
  header.response = (*flags & 0x8000) != 0;
  header.opcode = (*flags >> 11) & 0xf;
  header.truncated = (*flags & 0x0200) != 0;
  header.authenticated = (*flags & 0x0020) != 0;
  header.rcode = *flags & 0xf;
  header.questions = *questions;
  header.answers = *answers;
  return header;
}

// The response code as IANA's registry and everybody's tools spell it.
std::string name_of_code(int rcode) {
  constexpr std::array<std::string_view, 12> kNames = {
      "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
      "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "DSOTYPENI"};
  const auto index = static_cast<std::size_t>(rcode);
  return index < kNames.size() ? std::string(kNames.at(index)) : "code " + std::to_string(rcode);
}

// What the response code says, except NOERROR.
std::optional<DnsError> error_of(int rcode, const std::string& name, RecordType type) {
  constexpr int kNoError = 0;
  constexpr int kServFail = 2;
  constexpr int kNxDomain = 3;
  switch (rcode) {
    case kNoError:
      return std::nullopt;
    case kServFail:
      return DnsError{
          .kind = DnsError::Kind::servfail,
          .detail = "the resolver answered SERVFAIL for " + records_of(name, type) +
                    ": the name's DNS servers do not answer, or DNSSEC does not verify"};
    case kNxDomain:
      return DnsError{
          .kind = DnsError::Kind::nxdomain,
          .detail = "the name " + sanitize(name, 253) + " does not exist in DNS (NXDOMAIN)"};
    default:
      return DnsError{.kind = DnsError::Kind::refused,
                      .detail = "the resolver refused to answer for " + records_of(name, type) +
                                " (" + name_of_code(rcode) + ")"};
  }
}

// The character-strings of a TXT record, joined.
std::optional<std::string> text_of(ByteView data) {
  std::string text;
  while (!data.empty()) {
    const std::size_t size = data[0];
    if (data.size() - 1 < size) return std::nullopt;
    text += as_text(data.subspan(1, size));
    data = data.subspan(1 + size);
  }
  return text;
}

std::optional<CaaRecord> caa_of(ByteView data) {
  if (data.size() < 2 || data[1] == 0 || data.size() - 2 < data[1]) return std::nullopt;
  return CaaRecord{.flags = data[0],
                   .tag = std::string(as_text(data.subspan(2, data[1]))),
                   .value = std::string(as_text(data.subspan(2U + data[1])))};
}

// Adds what `record` says to `answer`. False when its data is not what its type asks for.
bool add_record(const Record& record, RecordType type, const Reader& reader, DnsAnswer& answer) {
  switch (type) {
    case RecordType::A:
    case RecordType::AAAA: {
      const auto address = IpAddress::from_bytes(record.data);
      if (!address || address->v6 != (type == RecordType::AAAA)) return false;
      answer.addresses.push_back(*address);
      return true;
    }
    case RecordType::CNAME: {
      auto target = reader.name_at(record.data_at);
      if (!target) return false;
      answer.aliases.push_back(std::move(target->text));
      return true;
    }
    case RecordType::TXT: {
      auto text = text_of(record.data);
      if (!text) return false;
      answer.texts.push_back(std::move(*text));
      return true;
    }
    case RecordType::CAA: {
      auto caa = caa_of(record.data);
      if (!caa) return false;
      answer.caa.push_back(std::move(*caa));
      return true;
    }
  }
  return false;
}

// The CNAME chain from `name` on within `records`: the names it leads to. Nothing when it is too
// long or has no end.
std::optional<std::vector<std::string>> follow_aliases(const std::string& name,
                                                       const std::vector<Record>& records,
                                                       const Reader& reader) {
  std::vector<std::string> aliases;
  std::string at = name;
  while (true) {
    const auto found = std::ranges::find_if(records, [&](const Record& record) {
      return record.type == static_cast<std::uint16_t>(RecordType::CNAME) &&
             same_name(record.owner, at);
    });
    if (found == records.end()) return aliases;
    auto target = reader.name_at(found->data_at);
    if (!target || aliases.size() == kMaxDnsAliases) return std::nullopt;
    at = target->text;
    aliases.push_back(std::move(target->text));
  }
}

}  // namespace

bool is_authenticated(ByteView message) {
  constexpr int kNoError = 0;
  constexpr int kNxDomain = 3;
  Reader reader(message);
  const auto header = take_header(reader);
  return header && header->response && header->opcode == 0 && header->authenticated &&
         (header->rcode == kNoError || header->rcode == kNxDomain);
}

Expected<DnsAnswer, DnsError> read_dns_response(ByteView message, const std::string& name,
                                                RecordType type) {
  Reader reader(message);
  const auto header = take_header(reader);
  if (!header || !header->response || header->opcode != 0) {
    return Unexpected{malformed(name, type, "it is not a response")};
  }
  if (const auto error = error_of(header->rcode, name, type);
      error && error->kind != DnsError::Kind::nxdomain) {
    return Unexpected{*error};
  }

  if (header->questions != 1)
    return Unexpected{malformed(name, type, "it does not repeat the question")};
  const auto question = reader.take_name();
  const auto asked_type = reader.take_u16();
  const auto asked_class = reader.take_u16();
  if (!question || !same_name(*question, name) || asked_type != static_cast<std::uint16_t>(type) ||
      asked_class != kClassInternet) {
    return Unexpected{malformed(name, type, "it answers another question")};
  }
  if (header->truncated) {
    return Unexpected{DnsError{
        .kind = DnsError::Kind::truncated,
        .detail = "the resolver's answer for " + records_of(name, type) + " is cut short"}};
  }

  if (header->answers > kMaxDnsRecords) {
    return Unexpected{
        malformed(name, type, "it has more than " + std::to_string(kMaxDnsRecords) + " records")};
  }
  std::vector<Record> records;
  for (int i = 0; i < header->answers; ++i) {
    auto record = reader.take_record();
    if (!record) return Unexpected{malformed(name, type, "a record is cut short")};
    if (record->record_class == kClassInternet) records.push_back(std::move(*record));
  }

  DnsAnswer answer;
  answer.authenticated = header->authenticated;
  if (type != RecordType::CNAME) {
    auto aliases = follow_aliases(name, records, reader);
    if (!aliases) {
      return Unexpected{malformed(name, type,
                                  "its CNAME records lead in a circle or through more than " +
                                      std::to_string(kMaxDnsAliases) + " names")};
    }
    answer.aliases = std::move(*aliases);
  }
  const std::string owner = answer.aliases.empty() ? name : answer.aliases.back();
  // RFC 6604 section 2.1: the code speaks of the name at the end of the chain.
  if (auto error = error_of(header->rcode, owner, type)) {
    error->aliases = std::move(answer.aliases);
    return Unexpected{*error};
  }
  std::size_t count = 0;
  for (const Record& record : records) {
    if (record.type != static_cast<std::uint16_t>(type) || !same_name(record.owner, owner))
      continue;
    if (!add_record(record, type, reader, answer)) {
      return Unexpected{malformed(name, type, "the data of a record does not fit its type")};
    }
    ++count;
  }
  if (count == 0) {
    return Unexpected{DnsError{
        .kind = DnsError::Kind::no_data,
        .detail = sanitize(owner, 253) + " has no " + std::string(to_string(type)) + " records",
        .aliases = std::move(answer.aliases)}};
  }
  return answer;
}

}  // namespace gatehouse::net
