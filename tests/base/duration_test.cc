#include "acme-server/base/duration.h"

#include <doctest/doctest.h>

using namespace gatehouse;

TEST_CASE("durations read and print alike") {
  using std::chrono::milliseconds;
  CHECK(parse_duration("90d") == milliseconds(90LL * 24 * 3600 * 1000));
  CHECK(parse_duration("500ms") == milliseconds(500));
  for (const char* bad :
       {"", "d", "-1s", "1.5h", "1w", "1 d", "99999999999999999999s", "2000000000d"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  for (const char* text : {"90d", "12h", "30m", "10s", "500ms", "36h", "0s"})
    CHECK(print_duration(*parse_duration(text)) == text);
}
