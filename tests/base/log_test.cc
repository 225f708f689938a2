#include "acme-server/base/log.h"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"

namespace gatehouse {
namespace {

using OrderId = StrongId<struct OrderTag>;

struct Lines {
  std::vector<std::pair<LogLevel, std::string>> seen;

  Log log(Log::Format format, LogLevel level = LogLevel::debug) {
    return Log(
        {.format = format, .level = level, .sink = [this](LogLevel at, std::string_view line) {
           seen.emplace_back(at, line);
         }});
  }

  const std::string& last() const { return seen.at(seen.size() - 1).second; }
};

TEST_CASE("an event is one JSON object with time, level, event and its fields in order") {
  Lines lines;
  Log log = lines.log(Log::Format::json);
  log.warning("order.ready", {{"order", OrderId("4f2")},
                              {"names", 2},
                              {"wildcard", false},
                              {"seconds", 0.5},
                              {"profile", "classic"},
                              {"large", std::numeric_limits<std::int64_t>::min()}});
  const Json line = parse_json(lines.last());
  const std::string time = line.at("time");
  CHECK(time.size() == std::string("2026-11-22T09:30:00.123Z").size());
  CHECK(time[time.size() - 5] == '.');
  CHECK(from_rfc3339(time));
  CHECK(lines.last() ==
        R"({"time":")" + time +
            R"(","level":"warning","event":"order.ready","order":"4f2","names":2,"wildcard":false,)"
            R"("seconds":0.5,"profile":"classic","large":-9223372036854775808})");
}

TEST_CASE("the level can change while the log is in use") {
  Lines lines;
  Log log = lines.log(Log::Format::json, LogLevel::warning);
  log.info("dropped");
  log.set_level(LogLevel::debug);
  log.debug("written");
  log.set_level(LogLevel::error);
  log.warning("dropped");
  REQUIRE(lines.seen.size() == 1);
  CHECK(parse_json(lines.last()).at("event") == "written");
}

TEST_CASE("hostile text cannot end or forge a line") {
  const std::string hostile = "a\nlevel=error b=\"x\" \x1b[31m \xff \xe2\x80\xa8";
  Lines lines;
  lines.log(Log::Format::json).info("e", {{"text", hostile}});
  lines.log(Log::Format::console).info("e", {{"text", hostile}});
  REQUIRE(lines.seen.size() == 2);
  for (const auto& [level, line] : lines.seen) {
    CHECK(line.find('\n') == std::string::npos);
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(line.find('\xff') == std::string::npos);
  }
  CHECK(parse_json(lines.seen[0].second).size() == 4);
  CHECK(lines.last().ends_with(R"( e text="a\x0alevel=error b=\"x\" \x1b[31m \xff \xe2\x80\xa8")"));
}

TEST_CASE("a console line reads as time, level, event, fields") {
  Lines lines;
  Log log = lines.log(Log::Format::console);
  log.error("ca.unreachable", {{"backend", "local"},
                               {"tries", 3},
                               {"parked", true},
                               {"after", 1.5},
                               {"names", "a.test, b.test"},
                               {"empty", ""},
                               {"pair", "a=b"}});
  CHECK(
      lines.last().substr(24) ==
      R"( error   ca.unreachable backend=local tries=3 parked=true after=1.5 names="a.test, b.test" empty="" pair="a=b")");
  CHECK(from_rfc3339(lines.last().substr(0, 24)));
}

TEST_CASE("events below the level are dropped") {
  Lines lines;
  Log log = lines.log(Log::Format::json, LogLevel::warning);
  log.debug("a");
  log.info("b");
  log.warning("c");
  log.error("d");
  REQUIRE(lines.seen.size() == 2);
  CHECK(lines.seen[0].first == LogLevel::warning);
  CHECK(lines.seen[1].first == LogLevel::error);
  CHECK(parse_json(lines.seen[1].second).at("level") == "error");
}

TEST_CASE("a sink that throws is not seen by who logs") {
  Log log({.sink = [](LogLevel, std::string_view) { throw std::runtime_error("disk full"); }});
  CHECK_NOTHROW(log.error("x"));
}

TEST_CASE("a default log drops everything") {
  Log log;
  CHECK_NOTHROW(log.error("x", {{"a", 1}}));
}

TEST_CASE("a number that JSON has no word for is null") {
  Lines lines;
  lines.log(Log::Format::json).info("e", {{"x", std::numeric_limits<double>::infinity()}});
  CHECK(parse_json(lines.last()).at("x").is_null());
}

}  // namespace
}  // namespace gatehouse
