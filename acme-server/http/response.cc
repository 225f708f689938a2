#include "acme-server/http/response.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/http_syntax.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http.h"

namespace gatehouse::http {

namespace {

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };

  static constexpr Phrase kPhrases[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  for (const Phrase& phrase : kPhrases) {
    if (phrase.status == status) return phrase.text;
  }
  return "";  // RFC 9112 section 4: may be empty
}

// Fields that only the engine can get right.
bool is_engines_own(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date", "Trailer"};
  for (const auto own : kNames) {
    if (equals_ignoring_case(name, own)) return true;
  }
  return false;
}

bool asks_to_close(const Response& response) {
  const std::string* connection = find_header(response.headers, "Connection");
  return connection && equals_ignoring_case(*connection, "close");
}

// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
bool has_no_content(int status) {
  return status == 204 || status == 205 || status == 304;
}

}  // namespace

Expected<WireResponse, std::string> to_wire(const Response& response, const AnswerContext& context,
                                            Instant now) {
  if (response.status < 200 || response.status > 599) {
    return Unexpected{"status " + std::to_string(response.status) + " is not a final one"};
  }
  WireResponse wire{.head = {}, .body = nullptr, .close = context.close || asks_to_close(response)};
  wire.head.reserve(512);
  wire.head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  wire.head.append(reason_phrase(response.status)).append("\r\n");
  wire.head.append("Date: ").append(http_date(now)).append("\r\n");
  for (const Header& header : response.headers) {
    if (!is_token(header.name)) {
      return Unexpected{"a field name is no token: " + sanitize(header.name, 60)};
    }
    if (!is_field_value(header.value)) {
      return Unexpected{"field " + header.name + " holds a control character"};
    }
    if (is_engines_own(header.name)) continue;
    wire.head.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  const std::size_t size = response.body ? response.body->size() : 0;
  if (response.status == 205) {
    wire.head.append("Content-Length: 0\r\n");
  } else if (!has_no_content(response.status)) {
    wire.head.append("Content-Length: ").append(std::to_string(size)).append("\r\n");
    if (size > 0 && !context.head_request) wire.body = response.body;
  }
  if (wire.close) {
    wire.head.append("Connection: close\r\n");
  } else if (!context.http_1_1) {
    wire.head.append("Connection: keep-alive\r\n");  // what an HTTP/1.0 client waits for
  }
  wire.head.append("\r\n");
  return wire;
}

Response problem_response(int status, std::string_view detail) {
  const Json body = {{"type", status < 500 ? "urn:ietf:params:acme:error:malformed"
                                           : "urn:ietf:params:acme:error:serverInternal"},
                     {"title", reason_phrase(status)},
                     {"status", status},
                     {"detail", detail}};
  Response response{
      .status = status,
      .headers = {{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}},
      .body = std::make_shared<const std::string>(print_json(body))};
  if (status == 503) response.headers.push_back({"Retry-After", "5"});
  return response;
}

std::string http_date(Instant instant) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(instant - day);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text.data();
}

}  // namespace gatehouse::http
