#include "acme-server/app/server/descriptor_budget.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse::testing {
namespace {

struct Fitting {
  std::vector<config::Config> configs{config::parse_config(
      R"({"base_url": "https://acme.corp.example"})", "/etc/gatehouse/gatehouse.json", {})};
  std::vector<std::string> lines;
  Log log{{.format = Log::Format::json,
           .level = LogLevel::debug,
           .sink = [this](LogLevel, std::string_view line) { lines.emplace_back(line); }}};

  std::size_t listeners() const {
    const config::Config& config = configs.at(0);
    return config.acme.size() + config.public_files.size() + config.operations.size() + 1;
  }

  std::size_t connections(std::size_t descriptors) {
    return app::fit_connections(configs, descriptors, log).connections;
  }
};

TEST_CASE("limits.connections stands where the descriptors suffice for every listener") {
  Fitting fitting;
  const std::size_t enough =
      app::reserved_descriptors(fitting.configs) + fitting.listeners() * 20000;
  CHECK(fitting.connections(enough) == 20000);
  CHECK(fitting.lines.empty());
  CHECK(fitting.connections(enough - 1) == 19999);
}

TEST_CASE("where they do not, each listener gets its share, and the log says what to raise") {
  Fitting fitting;
  const std::size_t reserved = app::reserved_descriptors(fitting.configs);
  CHECK(reserved > 4 * (fitting.configs.at(0).threads.validation));
  const http::Limits limits = app::fit_connections(fitting.configs, 4096, fitting.log);
  const std::size_t lowered = limits.connections;
  CHECK(limits.connections_per_address == lowered / 4);
  CHECK(lowered == (4096 - reserved) / fitting.listeners());
  REQUIRE(fitting.lines.size() == 1);
  CHECK(fitting.lines[0].find("connections.lowered") != std::string::npos);
  CHECK(fitting.lines[0].find("LimitNOFILE=") != std::string::npos);
}

TEST_CASE("with too few for any work the server does not start") {
  Fitting fitting;
  const std::size_t least = app::reserved_descriptors(fitting.configs) + fitting.listeners() * 16;
  CHECK(fitting.connections(least) == 16);
  CHECK_THROWS_WITH_AS(fitting.connections(least - 1), doctest::Contains("raise the limit to"),
                       std::runtime_error);
}

TEST_CASE("more threads and more listeners reserve more") {
  Fitting small;
  Fitting large;
  large.configs.at(0).threads.validation += 10;
  CHECK(app::reserved_descriptors(large.configs) > app::reserved_descriptors(small.configs));
  large.configs = small.configs;
  large.configs.at(0).public_files.push_back(large.configs.at(0).acme.at(0));
  CHECK(app::reserved_descriptors(large.configs) > app::reserved_descriptors(small.configs));
}

}  // namespace
}  // namespace gatehouse::testing
