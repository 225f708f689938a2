#include "acme-server/net/dns_message.h"

#include <doctest/doctest.h>

namespace gatehouse::net {

namespace {

using Kind = DnsError::Kind;
using Texts = std::vector<std::string>;

// A message built octet by octet.
class Message {
 public:
  Message& u16(int value) {
    bytes_.push_back(static_cast<std::uint8_t>(value >> 8));
    bytes_.push_back(static_cast<std::uint8_t>(value & 0xff));
    return *this;
  }

  Message& octets(const std::vector<int>& values) {
    for (const int value : values) bytes_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }

  Message& text(std::string_view text) {
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }

  // "a.test" as labels.
  Message& name(std::string_view name) {
    while (!name.empty()) {
      const std::string_view label = name.substr(0, name.find('.'));
      octets({static_cast<int>(label.size())}).text(label);
      name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    return octets({0});
  }

  Message& header(int flags, int answers, int questions = 1) {
    return u16(0x1234).u16(flags).u16(questions).u16(answers).u16(0).u16(0);
  }

  Message& question(std::string_view asked, RecordType type) {
    return name(asked).u16(static_cast<int>(type)).u16(1);
  }

  Message& record(std::string_view owner, RecordType type, const Bytes& data,
                  int record_class = 1) {
    name(owner)
        .u16(static_cast<int>(type))
        .u16(record_class)
        .u16(0)
        .u16(60)
        .u16(static_cast<int>(data.size()));
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return *this;
  }

  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

constexpr int kResponse = 0x8180;

Bytes name_bytes(std::string_view name) {
  return Message().name(name).bytes();
}

Message answer_to(std::string_view name, RecordType type, int answers, int flags = kResponse) {
  return Message().header(flags, answers).question(name, type);
}

Expected<DnsAnswer, DnsError> read(const Message& message, RecordType type = RecordType::A) {
  return read_dns_response(message.bytes(), "a.test", type);
}

Texts printed(const std::vector<IpAddress>& addresses) {
  Texts texts;
  for (const IpAddress& address : addresses) texts.push_back(address.to_string());
  return texts;
}

}  // namespace

TEST_CASE("response codes become kinds of failure") {
  const struct {
    int flags;
    Kind kind;
  } rows[] = {{kResponse, Kind::no_data},
              {kResponse | 2, Kind::servfail},
              {kResponse | 3, Kind::nxdomain},
              {kResponse | 5, Kind::refused},
              {kResponse | 4, Kind::refused},
              {kResponse | 1, Kind::refused},
              {kResponse | 0x0200, Kind::truncated},
              {0x0100, Kind::malformed},
              {kResponse | 0x0800, Kind::malformed}};

  for (const auto& row : rows) {
    CAPTURE(row.flags);
    const auto answer = read(answer_to("a.test", RecordType::A, 0, row.flags));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == row.kind);
  }
}

TEST_CASE("what a CNAME leads to and is not there is told with the way to it") {
  for (const int flags : {kResponse, kResponse | 3}) {
    const auto answer = read(answer_to("a.test", RecordType::A, 2, flags)
                                 .record("a.test", RecordType::CNAME, name_bytes("b.test"))
                                 .record("b.test", RecordType::CNAME, name_bytes("c.test")));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == (flags == kResponse ? Kind::no_data : Kind::nxdomain));
    CHECK(answer.error().aliases == Texts{"b.test", "c.test"});
    CHECK(answer.error().detail.find("c.test") != std::string::npos);
    CHECK(answer.error().detail.find("a.test") == std::string::npos);
  }
}

TEST_CASE("no record counts when the code says that the name does not exist") {
  CHECK(read(answer_to("a.test", RecordType::A, 1, kResponse | 3)
                 .record("a.test", RecordType::A, {10, 0, 0, 1}))
            .error()
            .kind == Kind::nxdomain);
}

TEST_CASE("an answer to another question is not taken") {
  CHECK(read(answer_to("b.test", RecordType::A, 0)).error().kind == Kind::malformed);
  CHECK(read(answer_to("a.test", RecordType::AAAA, 0)).error().kind == Kind::malformed);
  CHECK(read(answer_to("b.test", RecordType::A, 0, kResponse | 3)).error().kind == Kind::malformed);
  CHECK(read(Message().header(kResponse, 0, 0)).error().kind == Kind::malformed);
  CHECK(read(Message().header(kResponse, 0, 2).question("a.test", RecordType::A)).error().kind ==
        Kind::malformed);
  CHECK(read(Message().header(kResponse, 0).name("a.test").u16(1).u16(3)).error().kind ==
        Kind::malformed);
}

TEST_CASE("every cut of a message is refused, none is read past its end") {
  const Bytes whole = answer_to("a.test", RecordType::A, 2)
                          .record("a.test", RecordType::CNAME, name_bytes("b.test"))
                          .record("b.test", RecordType::A, {10, 0, 0, 1})
                          .bytes();
  REQUIRE(read_dns_response(whole, "a.test", RecordType::A));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CAPTURE(size);
    REQUIRE_FALSE(read_dns_response(cut, "a.test", RecordType::A));
    CHECK(read_dns_response(cut, "a.test", RecordType::A).error().kind == Kind::malformed);
  }
}

TEST_CASE("only records of the name asked for, or of what it is an alias of, count") {
  const auto message = answer_to("a.test", RecordType::A, 5)
                           .record("other.test", RecordType::A, {10, 0, 0, 9})
                           .record("a.test", RecordType::CNAME, name_bytes("b.test"))
                           .record("B.TEST", RecordType::A, {10, 0, 0, 1})
                           .record("a.test", RecordType::A, {10, 0, 0, 8})
                           .record("b.test", RecordType::A, {10, 0, 0, 2}, 3);
  const auto answer = read(message);
  REQUIRE(answer);
  CHECK(answer->aliases == Texts{"b.test"});
  CHECK(printed(answer->addresses) == Texts{"10.0.0.1"});
}

TEST_CASE("aliases that lead in a circle or too far are refused") {
  CHECK(read(answer_to("a.test", RecordType::A, 2)
                 .record("a.test", RecordType::CNAME, name_bytes("b.test"))
                 .record("b.test", RecordType::CNAME, name_bytes("a.test")))
            .error()
            .kind == Kind::malformed);
  CHECK(read(answer_to("a.test", RecordType::A, 1)
                 .record("a.test", RecordType::CNAME, name_bytes("a.test")))
            .error()
            .kind == Kind::malformed);
  for (const int aliases : {16, 17}) {
    Message message = answer_to("a.test", RecordType::A, aliases + 1);
    std::string at = "a.test";
    for (int i = 0; i < aliases; ++i) {
      const std::string next = std::to_string(i) + ".test";
      message.record(at, RecordType::CNAME, name_bytes(next));
      at = next;
    }
    message.record(at, RecordType::A, {10, 0, 0, 1});
    CHECK(read(message).has_value() == (aliases == 16));
  }
}

TEST_CASE("data that does not fit its type makes the answer useless") {
  const struct {
    RecordType type;
    Bytes data;
  } rows[] = {
      {RecordType::A, {10, 0, 0}},
      {RecordType::A, Bytes(16, 0)},
      {RecordType::AAAA, {10, 0, 0, 1}},
      {RecordType::AAAA, Bytes(17, 0)},
      {RecordType::TXT, {5, 'a'}},
      {RecordType::CAA, {}},
      {RecordType::CAA, {0}},
      {RecordType::CAA, {0, 0, 'x'}},
      {RecordType::CAA, {0, 6, 'i', 's'}},
      {RecordType::CNAME, {5, 'a'}},
      {RecordType::CNAME, {0xc0, 0xff}},
  };

  for (const auto& row : rows) {
    CAPTURE(to_string(row.type));
    const auto answer =
        read(answer_to("a.test", row.type, 1).record("a.test", row.type, row.data), row.type);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::malformed);
  }
}

TEST_CASE("names that point at themselves do not hang the reader") {
  // The owner is a compression pointer to its own offset: 12 + 12 octets.
  CHECK(read(answer_to("a.test", RecordType::A, 1)
                 .octets({0xc0, 24})
                 .u16(1)
                 .u16(1)
                 .u16(0)
                 .u16(60)
                 .u16(4)
                 .octets({10, 0, 0, 1}))
            .error()
            .kind == Kind::malformed);
}

TEST_CASE("an answer of too many records is refused") {
  Message message = answer_to("a.test", RecordType::A, 257);
  for (int i = 0; i < 257; ++i) message.record("a.test", RecordType::A, {10, 0, 0, 1});
  CHECK(read(message).error().kind == Kind::malformed);
}

TEST_CASE("each type is read as its RFC has it") {
  CHECK(printed(read(answer_to("A.Test", RecordType::AAAA, 1)
                         .record("a.test", RecordType::AAAA,
                                 {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}),
                     RecordType::AAAA)
                    ->addresses) == Texts{"fd00::1"});

  const auto texts = read(answer_to("a.test", RecordType::TXT, 3)
                              .record("a.test", RecordType::TXT, {2, 'a', 'b', 0, 1, 'c'})
                              .record("a.test", RecordType::TXT, {0})
                              .record("a.test", RecordType::TXT, {1, 0}),
                          RecordType::TXT);
  REQUIRE(texts);
  CHECK(texts->texts == Texts{"abc", "", std::string(1, '\0')});

  const auto caa =
      read(answer_to("a.test", RecordType::CAA, 2)
               .record("a.test", RecordType::CAA, {128, 3, 't', 'b', 's'})
               .record("a.test", RecordType::CAA, {0, 5, 'i', 's', 's', 'u', 'e', ';'}),
           RecordType::CAA);
  REQUIRE(caa);
  CHECK(caa->caa == std::vector<CaaRecord>{{.flags = 128, .tag = "tbs", .value = ""},
                                           {.flags = 0, .tag = "issue", .value = ";"}});

  CHECK(read(answer_to("a.test", RecordType::CNAME, 1)
                 .record("a.test", RecordType::CNAME, name_bytes("b.test")),
             RecordType::CNAME)
            ->aliases == Texts{"b.test"});
}

TEST_CASE("an alias to a name without the type is no data, told of that name") {
  const auto answer = read(answer_to("a.test", RecordType::A, 1)
                               .record("a.test", RecordType::CNAME, name_bytes("b.test")));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == Kind::no_data);
  CHECK(answer.error().detail == "b.test has no A records");
}

}  // namespace gatehouse::net
