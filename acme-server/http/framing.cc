#include "acme-server/http/framing.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/http_syntax.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

namespace {

// RFC 3986: what a path or query may hold besides letters, digits and percent-encodings. No "#": a
// fragment is never sent. A proxy and we must not differ over the rest.
constexpr std::string_view kTargetMarks = "-._~!$&'()*+,;=:@/?";
// RFC 3986 section 3.2.2 and a port. No "@": userinfo does not belong in Host.
constexpr std::string_view kHostMarks = "-._~!$&'()*+;=:[]%";
constexpr std::size_t kMaxMethod = 32;
constexpr char kTlsHandshake = 0x16;  // the first octet of a ClientHello, RFC 8446 section 5.1

using OctetSet = std::array<bool, 256>;

consteval OctetSet alphanumerics_and(std::string_view marks) {
  OctetSet set{};
  for (char c = '0'; c <= '9'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (const char c : marks) set[static_cast<unsigned char>(c)] = true;
  return set;
}

constexpr OctetSet kTarget = alphanumerics_and(kTargetMarks);
constexpr OctetSet kHost = alphanumerics_and(kHostMarks);

bool all_in(const OctetSet& set, std::string_view text) {
  return std::ranges::all_of(text, [&](char c) { return set[static_cast<unsigned char>(c)]; });
}

Unexpected<Refusal> bad(std::string detail) {
  return Unexpected{Refusal{400, std::move(detail)}};
}

// RFC 3986: "%" only before two digits.
bool is_target(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!kTarget[static_cast<unsigned char>(text[i])]) return false;
      continue;
    }
    if (text.size() - i < 3 || !hex_digit(text[i + 1]) || !hex_digit(text[i + 2])) return false;
    i += 2;
  }
  return true;
}

// Cuts the text up to CR LF off `rest`, which holds one.
std::string_view cut_line(std::string_view& rest) {
  const auto end = rest.find("\r\n");
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

// Origin-form of `target`, or nothing when it has none here: RFC 9112 section 3.2. Authority-form
// (CONNECT) and asterisk-form are for proxies and whole servers; we are neither.
std::optional<std::string> origin_form(std::string_view target,
                                       const std::vector<std::string>& origins) {
  if (target.starts_with('/')) {
    if (!is_target(target)) return std::nullopt;
    return std::string(target);
  }
  const auto url = parse_url(target);
  if (!url || std::ranges::find(origins, url->origin()) == origins.end()) return std::nullopt;
  std::string result = url->path;
  if (target.find('?') != std::string_view::npos) result += "?" + url->query;
  if (!is_target(result)) return std::nullopt;
  return result;
}

std::optional<Refusal> read_request_line(std::string_view line,
                                         const std::vector<std::string>& origins,
                                         RequestHead& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Refusal{400, "The request line must be: method, one blank, target, one blank, version."};
  }
  const auto method = line.substr(0, first);
  const auto version = line.substr(last + 1);
  if (!is_token(method) || method.size() > kMaxMethod) {
    return Refusal{400, "The request's method is not a token of at most 32 characters."};
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return Refusal{400, "This server speaks HTTP/1.1 only."};
  }
  auto target = origin_form(line.substr(first + 1, last - first - 1), origins);
  if (!target) {
    return Refusal{400, "The request target must be a path, or a URL of this server."};
  }
  head.method = std::string(method);
  head.target = *std::move(target);
  head.http_1_1 = version == "HTTP/1.1";
  return std::nullopt;
}

std::optional<Refusal> read_field(std::string_view line, RequestHead& head) {
  if (line.starts_with(' ') || line.starts_with('\t')) {
    return Refusal{400, "A header field is folded over two lines."};  // RFC 9112 section 5.2
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return Refusal{400, "A header line has no colon."};
  const auto name = line.substr(0, colon);
  if (!is_token(name)) {
    // RFC 9112 section 5.1: "No whitespace is allowed between the field name and colon."
    return Refusal{400, "A header field's name is not a token."};
  }
  const auto value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) return Refusal{400, "A header field holds a control character."};
  head.headers.push_back({std::string(name), std::string(value)});
  return std::nullopt;
}

std::size_t count(const RequestHead& head, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      head.headers, [&](const Header& header) { return equals_ignoring_case(header.name, name); }));
}

std::optional<Refusal> read_host(const RequestHead& head) {
  // RFC 9112 section 3.2: "A server MUST respond with a 400 … to any HTTP/1.1 request message that
  // lacks a Host header field and to any request message that contains more than one Host header
  // field line".
  const auto hosts = count(head, "Host");
  if (hosts > 1) return Refusal{400, "There is more than one Host field."};
  if (hosts == 0) {
    if (head.http_1_1) return Refusal{400, "There is no Host field."};
    return std::nullopt;
  }
  const std::string& host = *find_header(head.headers, "Host");
  if (host.empty() || !all_in(kHost, host)) return Refusal{400, "The Host field names no host."};
  return std::nullopt;
}

// RFC 9112 section 6.3, each doubtful case refused.
std::optional<Refusal> read_body_framing(RequestHead& head, const Limits& limits) {
  const auto codings = count(head, "Transfer-Encoding");
  const auto lengths = count(head, "Content-Length");
  if (codings > 0) {
    if (lengths > 0)
      return Refusal{400, "Content-Length and Transfer-Encoding exclude each other."};
    if (!head.http_1_1) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding."};
    if (codings > 1 ||
        !equals_ignoring_case(*find_header(head.headers, "Transfer-Encoding"), "chunked")) {
      return Refusal{400, "The only Transfer-Encoding taken is: chunked."};
    }
    head.body = ChunkedBody{};
    return std::nullopt;
  }
  if (lengths == 0) return std::nullopt;
  const std::string& text = *find_header(head.headers, "Content-Length");
  if (lengths > 1 || text.empty() || !std::ranges::all_of(text, is_digit)) {
    return Refusal{400, "Content-Length must be there once, and be a decimal number."};
  }
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc()) return Refusal{400, "Content-Length is beyond any number we know."};
  if (size > limits.body_bytes) {
    return Refusal{413, "The body is larger than the " + std::to_string(limits.body_bytes) +
                            " bytes this server takes."};
  }
  if (size > 0) head.body = SizedBody{size};
  return std::nullopt;
}

void read_connection(RequestHead& head) {
  bool close = false;
  bool keep = false;
  for (const Header& header : head.headers) {
    if (!equals_ignoring_case(header.name, "Connection")) continue;
    for (const auto option : split(header.value, ',')) {
      close |= equals_ignoring_case(trim(option), "close");
      keep |= equals_ignoring_case(trim(option), "keep-alive");
    }
  }
  head.keep_alive = !close && (head.http_1_1 || keep);  // RFC 9112 section 9.3
}

std::optional<Refusal> read_expectation(RequestHead& head) {
  const std::string* expectation = find_header(head.headers, "Expect");
  if (!expectation) return std::nullopt;
  if (!equals_ignoring_case(*expectation, "100-continue")) {
    return Refusal{417, "The only expectation this server meets is: 100-continue."};
  }
  // RFC 9110 section 10.1.1: ignored in HTTP/1.0, and when no body is to come.
  head.expects_continue = head.http_1_1 && !std::holds_alternative<NoBody>(head.body);
  return std::nullopt;
}

}  // namespace

Expected<std::optional<std::size_t>, Refusal> HeadScanner::scan(std::string_view bytes,
                                                                std::size_t limit) {
  for (std::size_t i = seen_; i < bytes.size(); ++i) {
    if (i >= limit) {
      return Unexpected{Refusal{431, "The header is larger than the " + std::to_string(limit) +
                                         " bytes this server takes."}};
    }
    const char c = bytes[i];
    const bool after_cr = i > 0 && bytes[i - 1] == '\r';
    // RFC 9112 section 2.2 lets a server take a bare LF as a line end, and none may take a bare CR
    // as one: refusing both leaves one reading.
    if (after_cr != (c == '\n')) return bad("A line of the header does not end in CR LF.");
    if (i == 0 && c == kTlsHandshake) {
      return bad(
          "A TLS handshake was sent to a port that speaks plain HTTP; use http:// in place of "
          "https://.");
    }
    if (is_control(c) && c != '\r' && c != '\n' && c != '\t') {
      return bad("The header holds a control character.");
    }
    if (c == '\n' && i >= 3 && bytes[i - 2] == '\n') return std::optional{i + 1};
    seen_ = i + 1;
  }
  return std::optional<std::size_t>();
}

Expected<RequestHead, Refusal> check_head(std::string_view block, const Limits& limits,
                                          const std::vector<std::string>& origins) {
  // The scanner has seen these bytes; whoever calls without it must not get another reading.
  HeadScanner scanner;
  const auto length = scanner.scan(block, limits.header_bytes);
  if (!length) return Unexpected{length.error()};
  if (*length != block.size()) return bad("The header block does not end in one empty line.");

  RequestHead head;
  if (auto refusal = read_request_line(cut_line(block), origins, head)) {
    return Unexpected{*std::move(refusal)};
  }
  for (auto line = cut_line(block); !line.empty(); line = cut_line(block)) {
    if (head.headers.size() == limits.header_count) {
      return Unexpected{Refusal{
          431, "There are more than " + std::to_string(limits.header_count) + " header fields."}};
    }
    if (auto refusal = read_field(line, head)) return Unexpected{*std::move(refusal)};
  }
  if (auto refusal = read_host(head)) return Unexpected{*std::move(refusal)};
  if (auto refusal = read_body_framing(head, limits)) return Unexpected{*std::move(refusal)};
  if (auto refusal = read_expectation(head)) return Unexpected{*std::move(refusal)};
  read_connection(head);
  return head;
}

Expected<std::size_t, Refusal> ChunkScanner::scan(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && !complete()) {
    if (state_ == State::data) {
      const auto step = std::min<std::uint64_t>(chunk_, bytes.size() - at);
      chunk_ -= step;
      at += static_cast<std::size_t>(step);
      if (chunk_ == 0) state_ = State::data_cr;
      continue;
    }
    if (auto refusal = take(bytes[at])) return Unexpected{*std::move(refusal)};
    ++at;
  }
  return at;
}

std::optional<Refusal> ChunkScanner::take(char octet) {
  const auto expect = [&](char wanted, State next) -> std::optional<Refusal> {
    if (octet != wanted) return Refusal{400, "A chunk does not end in CR LF."};
    state_ = next;
    return std::nullopt;
  };
  switch (state_) {
    case State::size_first:
      chunk_ = 0;
      digits_ = 0;
      if (!hex_digit(octet)) return Refusal{400, "A chunk's size is not a hexadecimal number."};
      state_ = State::size_digits;
      [[fallthrough]];
    case State::size_digits:
      if (const auto digit = hex_digit(octet)) {
        if (++digits_ > kMaxSizeDigits) return Refusal{400, "A chunk's size has too many digits."};
        chunk_ = chunk_ * 16 + *digit;
        return std::nullopt;
      }
      return end_of_size_line(octet);
    case State::extension:
      return end_of_size_line(octet);
    case State::size_lf:
      if (chunk_ > body_left_) return Refusal{413, "The body is larger than this server takes."};
      body_left_ -= chunk_;
      return expect('\n', chunk_ == 0 ? State::last_cr : State::data);
    case State::data_cr:
      return expect('\r', State::data_lf);
    case State::data_lf:
      return expect('\n', State::size_first);
    case State::last_cr:
      if (octet != '\r') return Refusal{400, "Trailer fields are not taken."};
      state_ = State::last_lf;
      return std::nullopt;
    case State::last_lf:
      return expect('\n', State::complete);
    case State::data:
    case State::complete:
      break;  // scan() does not come here with these
  }
  ACME_CHECK(false);
}

// What may follow the digits: CR, or ";" and an extension until CR. A blank before the ";" is a
// leniency of RFC 9112 section 7.1.1 that no client needs.
std::optional<Refusal> ChunkScanner::end_of_size_line(char octet) {
  if (octet == '\r') {
    state_ = State::size_lf;
    return std::nullopt;
  }
  if (state_ == State::size_digits && octet != ';') {
    return Refusal{400, "A chunk's size is not a hexadecimal number."};
  }
  if (is_control(octet)) return Refusal{400, "A chunk extension holds a control character."};
  state_ = State::extension;
  if (++extensions_ > kMaxChunkExtensions) {
    return Refusal{400, "The chunk extensions are too long."};
  }
  return std::nullopt;
}

}  // namespace gatehouse::http
