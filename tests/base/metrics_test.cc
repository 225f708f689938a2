#include "acme-server/base/metrics.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

bool has_line(const Metrics& metrics, const std::string& line) {
  return ("\n" + metrics.text()).find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("counters, gauges and histograms print as Prometheus text") {
  Metrics metrics;
  const Counter issued =
      metrics.counter("gatehouse_issued_total", "Certificates issued.", {{"backend", "local"}});
  issued.add();
  issued.add(2);
  const Gauge waiting = metrics.gauge("gatehouse_jobs", "Jobs that wait.");
  waiting.set(5);
  waiting.add(-2);
  const Histogram seconds = metrics.histogram("gatehouse_seconds", "Time taken.", {0.1, 1});
  seconds.observe(0.05);
  seconds.observe(0.5);
  seconds.observe(5);
  for (const char* line :
       {"# HELP gatehouse_issued_total Certificates issued.",
        "# TYPE gatehouse_issued_total counter", "gatehouse_issued_total{backend=\"local\"} 3",
        "# TYPE gatehouse_jobs gauge", "gatehouse_jobs 3", "# TYPE gatehouse_seconds histogram",
        "gatehouse_seconds_count 3", "gatehouse_seconds_sum 5.55",
        "gatehouse_seconds_bucket{le=\"0.1\"} 1", "gatehouse_seconds_bucket{le=\"1\"} 2",
        "gatehouse_seconds_bucket{le=\"+Inf\"} 3"}) {
    CAPTURE(line);
    CAPTURE(metrics.text());
    CHECK(has_line(metrics, line));
  }
}

TEST_CASE("asking twice gives the same series, and other labels another") {
  Metrics metrics;
  metrics.counter("x_total", "X.", {{"a", "1"}}).add();
  metrics.counter("x_total", "X.", {{"a", "1"}}).add();
  metrics.counter("x_total", "X.", {{"a", "2"}}).add();
  CHECK(has_line(metrics, "x_total{a=\"1\"} 2"));
  CHECK(has_line(metrics, "x_total{a=\"2\"} 1"));
}

TEST_CASE("a handle of no registry counts nowhere") {
  CHECK_NOTHROW(Counter().add());
  CHECK_NOTHROW(Gauge().set(1));
  CHECK_NOTHROW(Gauge().add(1));
  CHECK_NOTHROW(Histogram().observe(1));
}

TEST_CASE("the text names every label value safely") {
  Metrics metrics;
  metrics.counter("x_total", "X.", {{"a", "q\"b\\n\n"}}).add();
  CHECK(has_line(metrics, R"(x_total{a="q\"b\\n\n"} 1)"));
}

TEST_CASE("one name cannot be two kinds of metric") {
  Metrics metrics;
  metrics.counter("x", "X.");
  CHECK_THROWS_AS(metrics.gauge("x", "X."), std::invalid_argument);
}

TEST_CASE("counting from many threads loses nothing") {
  Metrics metrics;
  const Counter counter = metrics.counter("x_total", "X.");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([counter] {
        for (int j = 0; j < 1000; ++j) {
          counter.add();
        }
      });
    }
  }
  CHECK(has_line(metrics, "x_total 4000"));
}

}  // namespace
}  // namespace gatehouse
