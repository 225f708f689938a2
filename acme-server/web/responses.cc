#include "acme-server/web/responses.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/http/http.h"

namespace gatehouse::web {

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
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
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

}  // namespace gatehouse::web
