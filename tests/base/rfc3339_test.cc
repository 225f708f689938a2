#include "acme-server/base/rfc3339.h"

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/check.h"

namespace gatehouse {
namespace {

struct Row {
  const char* text;
  std::int64_t unix_seconds;
};

TEST_CASE("times are printed as RFC 3339 in UTC") {
  const Row rows[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59Z", -1},
      {"2026-11-22T09:30:00Z", 1795339800},
      {"2024-02-29T12:00:00Z", 1709208000},
      {"2038-01-19T03:14:08Z", 2147483648},
      {"0000-01-01T00:00:00Z", -62167219200},
      {"9999-12-31T23:59:59Z", 253402300799},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(to_rfc3339(from_unix(row.unix_seconds)) == row.text);
    CHECK(from_rfc3339(row.text) == from_unix(row.unix_seconds));
  }
  CHECK_THROWS_AS(to_rfc3339(from_unix(253402300800)), LogicError);
  CHECK_THROWS_AS(to_rfc3339(from_unix(-62167219201)), LogicError);
}

TEST_CASE("offsets, fractions, small letters and leap seconds are read") {
  const Row rows[] = {
      // RFC 3339 section 5.8
      {"1985-04-12T23:20:50.52Z", 482196050},
      {"1996-12-19T16:39:57-08:00", 851042397},
      {"1990-12-31T23:59:60Z", 662688000},
      {"1990-12-31T15:59:60-08:00", 662688000},
      {"1937-01-01T12:00:27.87+00:20", -1041337173},
      {"2016-12-31T23:59:60.999Z", 1483228800},
      {"2026-11-22t09:30:00z", 1795339800},
      {"2026-11-22T09:30:00-00:00", 1795339800},
      {"2026-11-22T09:30:00.000000000000000000001Z", 1795339800},
      {"2026-11-23T09:29:00+23:59", 1795339800},
      {"2026-11-21T09:31:00-23:59", 1795339800},
      {"2000-02-29T00:00:00Z", 951782400},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(from_rfc3339(row.text) == from_unix(row.unix_seconds));
  }
}

TEST_CASE("what RFC 3339 does not allow is refused") {
  const char* rows[] = {
      "",
      "2026-11-22",
      "2026-11-22T09:30:00",        // no offset
      "2026-11-22T09:30Z",          // no seconds
      "2026-11-22 09:30:00Z",       // blank for the T
      "26-11-22T09:30:00Z",         //
      "12026-11-22T09:30:00Z",      //
      "+2026-11-22T09:30:00Z",      //
      "2026-1-22T09:30:00Z",        //
      "2026-11-2T09:30:00Z",        //
      "20261122T093000Z",           // ISO 8601's basic form
      "2026-00-22T09:30:00Z",       //
      "2026-13-22T09:30:00Z",       //
      "2026-11-00T09:30:00Z",       //
      "2026-11-31T09:30:00Z",       // days that no month has
      "2026-02-29T09:30:00Z",       //
      "1900-02-29T09:30:00Z",       //
      "2026-11-22T24:00:00Z",       //
      "2026-11-22T23:60:00Z",       //
      "2026-11-22T23:59:61Z",       //
      "2026-11-22T23:59:60Z",       // a leap second in the middle of a month
      "2026-11-30T12:00:60Z",       // of a day
      "2026-11-30T23:59:60+01:00",  // in UTC it is 22:59:60
      "2026-11-22T09:30:00.Z",      //
      "2026-11-22T09:30:00,5Z",     //
      "2026-11-22T09:30:00+24:00",  //
      "2026-11-22T09:30:00+00:60",  //
      "2026-11-22T09:30:00+0100",   //
      "2026-11-22T09:30:00+01",     //
      "2026-11-22T09:30:00ZZ",      //
      "2026-11-22T09:30:00Z ",      //
      " 2026-11-22T09:30:00Z",      //
      "2026-11-22T-9:30:00Z",       //
      "2026-11-22T09: 3:00Z",       //
      "0000-01-01T00:00:00+00:01",  // before the year 0000
      "9999-12-31T23:59:59-00:01",  // after 9999
      "9999-12-31T23:59:60Z",       //
  };
  for (const char* row : rows) {
    CAPTURE(row);
    CHECK_FALSE(from_rfc3339(row));
  }
}

TEST_CASE("every day of four centuries comes back as it went") {
  for (std::int64_t day = -30000; day < 117000; day += 7) {
    const Instant instant = from_unix(day * 86400 + (day % 86400 + 86400) % 86400);
    REQUIRE(from_rfc3339(to_rfc3339(instant)) == instant);
  }
}

}  // namespace
}  // namespace gatehouse
