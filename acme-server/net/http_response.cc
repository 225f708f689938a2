#include "acme-server/net/http_response.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/base/ascii.h"
#include "acme-server/base/http_syntax.h"
#include "acme-server/base/text.h"

namespace gatehouse::net {

namespace {

// All of `text` as a number, no sign, at least one digit.
std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string_view> HttpResponse::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  if (found == headers.end()) return std::nullopt;
  return found->second;
}

HttpResponseParser::State HttpResponseParser::feed(std::string_view bytes) {
  if (state_ != State::more) return state_;
  buffer_ += bytes;
  while (state_ == State::more && step()) {
  }
  return state_;
}

HttpResponseParser::State HttpResponseParser::finish() {
  if (state_ != State::more) return state_;
  switch (part_) {
    case Part::body_to_end:
      state_ = State::done;
      break;
    case Part::status_line:
      fail(buffer_.empty() ? "closed the connection without an answer"
                           : "broke off within the status line");
      break;
    case Part::headers:
      fail("broke off within the headers");
      break;
    case Part::body_of_length:
    case Part::chunk_size:
    case Part::chunk_data:
    case Part::chunk_end:
    case Part::trailers:
      fail("broke off within the body");
      break;
  }
  return state_;
}

// Reads one thing off the buffer. False when more must arrive first, or nothing more is wanted.
bool HttpResponseParser::step() {
  switch (part_) {
    case Part::body_of_length:
    case Part::body_to_end:
    case Part::chunk_data:
      return take_body();
    case Part::status_line:
    case Part::headers:
    case Part::chunk_size:
    case Part::chunk_end:
    case Part::trailers:
      break;
  }
  const auto line = take_line();
  if (!line) return false;
  switch (part_) {
    case Part::status_line:
      return read_status_line(*line);
    case Part::headers:
      return line->empty() ? end_of_headers() : read_header(*line);
    case Part::chunk_size:
      return read_chunk_size(*line);
    case Part::chunk_end:
      if (!line->empty()) return fail("sent a chunk longer than its size");
      part_ = Part::chunk_size;
      return true;
    case Part::trailers:
      if (line->empty()) state_ = State::done;
      return true;
    case Part::body_of_length:
    case Part::body_to_end:
    case Part::chunk_data:
      break;
  }
  return false;
}

std::optional<std::string> HttpResponseParser::take_line() {
  const std::size_t end = buffer_.find('\n');
  if (head_size_ + std::min(end, buffer_.size()) >= kMaxHttpHead) {
    fail("sent more than " + std::to_string(kMaxHttpHead) + " octets of headers");
    return std::nullopt;
  }
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  head_size_ += end + 1;
  if (line.ends_with('\r')) line.pop_back();
  if (!is_field_value(line)) {
    fail("sent a control character in its headers");
    return std::nullopt;
  }
  return line;
}

// "HTTP/1.1 200 OK": RFC 9112 section 4. The reason may be missing, blank and all.
bool HttpResponseParser::read_status_line(const std::string& line) {
  const std::string_view text = line;
  const bool version = text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 ");
  const std::string_view code = version ? text.substr(9, 3) : "";
  if (code.size() != 3 || !std::ranges::all_of(code, is_digit) || code[0] < '1' || code[0] > '5' ||
      (text.size() > 12 && text[12] != ' ')) {
    return fail("answered with \"" + sanitize(text, 60) +
                "\", which is not an HTTP/1.1 status line");
  }
  response_ = {};
  response_.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  part_ = Part::headers;
  return true;
}

bool HttpResponseParser::read_header(const std::string& line) {
  if (line.front() == ' ' || line.front() == '\t') return fail("sent a folded header line");
  const std::size_t colon = line.find(':');
  if (colon == std::string::npos) return fail("sent a header line without a colon");
  const std::string_view name = std::string_view(line).substr(0, colon);
  if (!is_token(name)) {
    return fail("sent a header with a bad name: \"" + sanitize(name, 60) + "\"");
  }
  response_.headers.emplace_back(to_lower(name),
                                 trim_blanks(std::string_view(line).substr(colon + 1)));
  return true;
}

bool HttpResponseParser::end_of_headers() {
  const int status = response_.status;
  if (status == 101) return fail("switched to another protocol, which nobody asked for");
  if (status < 200) {
    if (++interim_ > kMaxInterimResponses) return fail("sent too many interim responses");
    part_ = Part::status_line;
    return true;
  }
  if (status == 204 || status == 304) {  // RFC 9112 section 6.3: never with a body
    state_ = State::done;
    return true;
  }
  return choose_body();
}

// RFC 9112 section 6.3: where the body ends.
bool HttpResponseParser::choose_body() {
  std::optional<std::uint64_t> length;
  int codings = 0;
  for (const auto& [name, value] : response_.headers) {
    if (name == "transfer-encoding") {
      ++codings;
      if (!equals_ignoring_case(value, "chunked"))
        return fail("sent its answer in a coding other than chunked");
    }
    if (name != "content-length") continue;
    const auto parsed =
        std::ranges::all_of(value, is_digit) ? parse_number(value, 10) : std::nullopt;
    if (!parsed || (length && *length != *parsed)) return fail("sent a bad Content-Length");
    length = parsed;
  }
  if (codings > 1 || (codings == 1 && length)) return fail("gave its answer two lengths");
  if (codings == 1) {
    part_ = Part::chunk_size;
  } else if (!length) {
    part_ = Part::body_to_end;
  } else if (*length == 0) {
    state_ = State::done;
  } else {
    left_ = *length;
    part_ = Part::body_of_length;
  }
  return true;
}

bool HttpResponseParser::read_chunk_size(const std::string& line) {
  const std::string_view digits = trim_blanks(std::string_view(line).substr(0, line.find(';')));
  const auto size = parse_number(digits, 16);
  if (!size) return fail("sent a bad chunk size");
  left_ = *size;
  part_ = left_ == 0 ? Part::trailers : Part::chunk_data;
  return true;
}

bool HttpResponseParser::take_body() {
  if (buffer_.empty()) return false;
  if (part_ == Part::body_to_end) {
    append(buffer_);
    buffer_.clear();
    return true;
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, buffer_.size()));
  append(std::string_view(buffer_).substr(0, size));
  buffer_.erase(0, size);
  left_ -= size;
  if (left_ > 0) return true;
  if (part_ == Part::chunk_data) {
    part_ = Part::chunk_end;
  } else {
    state_ = State::done;
  }
  return true;
}

void HttpResponseParser::append(std::string_view bytes) {
  const std::size_t room = max_body_ - response_.body.size();
  response_.body += bytes.substr(0, room);
  if (bytes.size() <= room) return;
  response_.body_cut = true;
  state_ = State::done;
}

bool HttpResponseParser::fail(std::string why) {
  state_ = State::failed;
  failure_ = std::move(why);
  buffer_.clear();
  return false;
}

}  // namespace gatehouse::net
