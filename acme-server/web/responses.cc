#include "acme-server/web/responses.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/ascii.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/http/http.h"

namespace gatehouse::web {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

http::Response text_response(int status, std::string_view content_type, std::string body) {
  http::Response response;
  response.status = status;
  add(response, "Content-Type", std::string(content_type));
  response.body = std::make_shared<const std::string>(std::move(body));
  return response;
}

http::Response json_response(int status, const Json& body) {
  return text_response(status, "application/json", print_json(body));
}

void add(http::Response& response, std::string_view name, std::string value) {
  response.headers.push_back({.name = std::string(name), .value = std::move(value)});
}

void add_link(http::Response& response, std::string_view url, std::string_view relation) {
  std::string value = "<";
  add(response, "Link", value.append(url).append(">;rel=\"").append(relation).append("\""));
}

void add_retry_after(http::Response& response, std::chrono::seconds wait) {
  add(response, "Retry-After", std::to_string(std::max<std::int64_t>(1, wait.count())));
}

std::string http_date(Instant instant) {
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(instant - day);
  std::array<char, 64> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
      kDays.at(std::chrono::weekday(day).c_encoding()), static_cast<unsigned>(date.day()),
      kMonths.at(static_cast<unsigned>(date.month()) - 1), static_cast<int>(date.year()),
      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
      static_cast<int>(time.seconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<Instant> parse_http_date(std::string_view text) {
  constexpr std::size_t kSize = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"
  if (text.size() != kSize) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) {
    unsigned value = 0;
    for (const char c : text.substr(at, digits)) {
      value = is_digit(c) ? value * 10 + static_cast<unsigned>(c - '0') : 100'000;
    }
    return value;
  };
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(number(12, 4))),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(number(5, 2)));
  const auto hour = number(17, 2);
  const auto minute = number(20, 2);
  const auto second = number(23, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const Instant instant = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                          std::chrono::minutes(minute) + std::chrono::seconds(second);
  // What the digits do not say must be as it should, too: spaces, colons, the day of the week.
  if (http_date(instant) != text) return std::nullopt;
  return instant;
}

}  // namespace gatehouse::web
