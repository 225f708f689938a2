#include "acme-server/base/rfc3339.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/ascii.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"

namespace gatehouse {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::month;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr Instant kFirst = sys_days(year(0) / 1 / 1);
constexpr Instant kEnd = sys_days(year(10000) / 1 / 1);

// Takes what the grammar wants off the front of a text. After the first thing that is not there it
// stays failed.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // A number of exactly `digits` digits.
  unsigned number(std::size_t digits) {
    unsigned value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (rest_.empty() || !is_digit(rest_[0])) {
        failed_ = true;
        return 0;
      }
      value = value * 10 + static_cast<unsigned>(rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }

  // One of `characters`, or NUL.
  char one_of(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_[0]) == std::string_view::npos) {
      failed_ = true;
      return '\0';
    }
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  void skip_fraction() {
    if (rest_.starts_with('.')) {
      rest_.remove_prefix(1);
      number(1);
      rest_.remove_prefix(
          static_cast<std::size_t>(std::ranges::find_if_not(rest_, is_digit) - rest_.begin()));
    }
  }

  bool failed() const { return failed_; }

  bool done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

std::string to_rfc3339(Instant instant) {
  ACME_CHECK(instant >= kFirst && instant < kEnd);
  const auto midnight = std::chrono::floor<days>(instant);
  const year_month_day date(midnight);
  const std::chrono::hh_mm_ss time(instant - midnight);
  std::string text = "0000-00-00T00:00:00Z";
  const auto put = [&](std::size_t at, std::size_t digits, auto value) {
    for (auto rest = static_cast<unsigned>(value); digits-- > 0; rest /= 10) {
      text[at + digits] = static_cast<char>('0' + rest % 10);
    }
  };
  put(0, 4, static_cast<int>(date.year()));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, time.hours().count());
  put(14, 2, time.minutes().count());
  put(17, 2, time.seconds().count());
  return text;
}

std::optional<Instant> from_rfc3339(std::string_view text) {
  Scanner scan(text);
  const unsigned year_number = scan.number(4);
  scan.one_of("-");
  const unsigned month_number = scan.number(2);
  scan.one_of("-");
  const unsigned day_number = scan.number(2);
  scan.one_of("Tt");
  const unsigned hour = scan.number(2);
  scan.one_of(":");
  const unsigned minute = scan.number(2);
  scan.one_of(":");
  const unsigned second = scan.number(2);
  scan.skip_fraction();
  const char sign = scan.one_of("Zz+-");
  unsigned offset_hour = 0;
  unsigned offset_minute = 0;
  if (sign == '+' || sign == '-') {
    offset_hour = scan.number(2);
    scan.one_of(":");
    offset_minute = scan.number(2);
  }
  const year_month_day date(year(static_cast<int>(year_number)), month(month_number),
                            day(day_number));
  if (!scan.done() || !date.ok() || hour > 23 || minute > 59 || second > 60 || offset_hour > 23 ||
      offset_minute > 59) {
    return std::nullopt;
  }
  const seconds ahead = hours(offset_hour) + minutes(offset_minute);
  const Instant instant = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) -
                          (sign == '-' ? -ahead : ahead);
  // Section 5.7: a leap second is the last of a month in UTC, so the next second begins the next
  // month.
  const auto midnight = std::chrono::floor<days>(instant);
  if (second == 60 && (instant != midnight || year_month_day(midnight).day() != day(1))) {
    return std::nullopt;
  }
  // The offset, or the leap second, may lead out of the years that four digits can say.
  if (instant < kFirst || instant >= kEnd) {
    return std::nullopt;
  }
  return instant;
}

}  // namespace gatehouse
