// What a server counts, held against docs/metrics.md; and what is shipped for Prometheus and
// Grafana, held against what a server counts.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/http/engine.h"
#include "tests/support/paths.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

struct Family {
  std::string kind, help;
  std::set<std::string> labels;

  friend bool operator==(const Family&, const Family&) = default;
};

using Families = std::map<std::string, Family>;

std::string print(const std::string& name, const Family& family) {
  std::string text = name + " " + family.kind + " [";
  for (const std::string& label : family.labels) text += label + " ";
  return text + "] " + family.help;
}

// The name of the family that a sample belongs to.
std::string family_of(const Families& families, const std::string& sample) {
  for (const char* suffix : {"", "_bucket", "_sum", "_count"}) {
    if (!sample.ends_with(suffix)) continue;
    const std::string name = sample.substr(0, sample.size() - std::string(suffix).size());
    if (families.contains(name)) return name;
  }
  FAIL("a sample of no family: ", sample);
  return "";
}

// The text format: HELP and TYPE lines, and samples with their labels.
Families parse_text(const std::string& text) {
  static const std::regex kSample(R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? [^ ]+)");
  static const std::regex kLabel(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*")re");
  Families families;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, what, name, rest;
    if (line.starts_with("# ")) {
      words >> hash >> what >> name;
      std::getline(words >> std::ws, rest);
      (what == "HELP" ? families[name].help : families[name].kind) = rest;
      continue;
    }
    std::smatch sample;
    REQUIRE_MESSAGE(std::regex_match(line, sample, kSample), line);
    Family& family = families[family_of(families, sample[1])];
    const std::string labels = sample[3];
    for (std::sregex_iterator it(labels.begin(), labels.end(), kLabel), end; it != end; ++it) {
      if ((*it)[1] != "le") family.labels.insert((*it)[1]);
    }
  }
  return families;
}

// | `name` | kind | `label`, `label` | help |
Families parse_table(const std::string& markdown) {
  Families families;
  for (const std::string_view line : split(markdown, '\n')) {
    if (!line.starts_with("| `")) continue;
    const auto cells = split(line, '|');
    REQUIRE(cells.size() == 6);
    const auto word = [](std::string_view cell) {
      std::string text(trim(cell));
      std::erase(text, '`');
      return text;
    };
    Family family{.kind = word(cells[2]), .help = std::string(trim(cells[4])), .labels = {}};
    for (const std::string_view label : split(cells[3], ',')) {
      if (!word(label).empty()) family.labels.insert(word(label));
    }
    families[word(cells[1])] = family;
  }
  return families;
}

// Everything that a server with its engine prints, when it has begun to work.
Families printed() {
  TestServer server;
  const http::Engine engine({}, server.clock, server.environment().log,
                            server.environment().metrics);
  return parse_text(*server.get("operations", "/metrics").body);
}

std::string shipped(const std::string& name) {
  return read_file(source_directory() + "/packaging/monitoring/" + name);
}

// Metrics named in an expression: of ours, or of every process.
std::set<std::string> named_in(const std::string& text) {
  static const std::regex kName("(gatehouse|process)_[a-z0-9_]+");
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), kName), end; it != end; ++it) {
    names.insert(it->str());
  }
  return names;
}

void check_all_exist(const Families& families, const std::string& expression) {
  CAPTURE(expression);
  const std::set<std::string> names = named_in(expression);
  for (const std::string& name : names) family_of(families, name);
}

// The rules of an alert file: what the subset of YAML that it is written in says of each. One that
// is written otherwise is not read, and fails by what it lacks.
std::vector<std::map<std::string, std::string>> parse_rules(const std::string& yaml) {
  static const std::regex kField(R"(^(\s+)(- )?([a-z]+): ?(.*)$)");
  std::vector<std::map<std::string, std::string>> rules;
  std::string block;  // the field that a "|" has begun
  std::istringstream lines(yaml);
  for (std::string line; std::getline(lines, line);) {
    std::smatch field;
    const bool is_field = std::regex_match(line, field, kField);
    if (is_field && field[3] == "alert") rules.emplace_back();
    if (rules.empty()) continue;
    if (is_field && field[1].length() <= 10) {
      block = field[4] == "|" ? std::string(field[3]) : "";
      rules.back()[field[3]] = block.empty() ? std::string(field[4]) : "";
    } else if (!block.empty()) {
      rules.back()[block] += std::string(trim(line)) + " ";
    }
  }
  return rules;
}

TEST_CASE("docs/metrics.md lists each family that a server prints, and no other") {
  const Families real = printed();
  const Families told = parse_table(read_file(source_directory() + "/docs/metrics.md"));
  for (const auto& [name, family] : real) {
    CHECK_MESSAGE(told.contains(name), "not in docs/metrics.md: ", print(name, family));
    if (told.contains(name)) CHECK(print(name, told.at(name)) == print(name, family));
  }
  for (const auto& [name, family] : told) CHECK_MESSAGE(real.contains(name), "not there: ", name);
  CHECK(real.size() > 30);
}

// As `promtool check metrics` has it.
TEST_CASE("families are named and explained by Prometheus' conventions") {
  for (const auto& [name, family] : printed()) {
    CAPTURE(name);
    CHECK(std::regex_match(name, std::regex("(gatehouse|process)_[a-z0-9]+(_[a-z0-9]+)*")));
    CHECK(name.ends_with("_total") == (family.kind == "counter"));
    CHECK(family.help.ends_with("."));
    for (const char* no_base_unit :
         {"_ms", "_milliseconds", "_minutes", "_hours", "_days", "_kb"}) {
      CHECK(name.find(no_base_unit) == std::string::npos);
    }
    for (const char* kind : {"counter", "gauge", "histogram", "summary"}) {
      CHECK(name.find(kind) == std::string::npos);
    }
    for (const char* reserved : {"_count", "_sum", "_bucket", "_info"}) {
      CHECK((name == "gatehouse_build_info" || !name.ends_with(reserved)));
    }
  }
}

TEST_CASE("validations, certificates, revocations and expiries are counted by what they are") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = issued_order(server, client, {"a.test", "b.test"});
  REQUIRE(order.status() == "valid");
  const std::string text = *server.get("operations", "/metrics").body;
  const auto has = [&](const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
  };
  CHECK(has(R"(gatehouse_validations_total{result="valid",type="http-01"} 2)"));
  CHECK(has(R"(gatehouse_validations_total{result="invalid",type="http-01"} 0)"));
  CHECK(has(R"(gatehouse_certificates_total{backend="local",profile="default"} 1)"));
  CHECK(has(R"(gatehouse_revocations_total{by="account",reason="keyCompromise"} 0)"));
  CHECK(text.find(R"(gatehouse_expiry_timestamp_seconds{kind="issuer",name=")") !=
        std::string::npos);
  CHECK(text.find(R"(gatehouse_expiry_timestamp_seconds{kind="crl",name="http://)") !=
        std::string::npos);
  CHECK(text.find("process_resident_memory_bytes 0\n") == std::string::npos);
}

TEST_CASE("each alert rule says what it is about, and names metrics that there are") {
  const Families families = printed();
  const auto rules = parse_rules(shipped("gatehouse.rules.yml"));
  CHECK(rules.size() > 8);
  std::set<std::string> names;
  for (auto rule : rules) {
    CAPTURE(rule["alert"]);
    CHECK(names.insert(rule["alert"]).second);
    CHECK(rule["alert"].starts_with("Gatehouse"));
    CHECK((rule["severity"] == "critical" || rule["severity"] == "warning"));
    CHECK(rule["summary"].ends_with(".\""));
    CHECK((!named_in(rule["expr"]).empty() || rule["expr"].starts_with("up{")));
    check_all_exist(families, rule["expr"]);
  }
}

TEST_CASE("the dashboard is JSON with a query in each panel, of metrics that there are") {
  const Families families = printed();
  const Json board = parse_json(shipped("gatehouse-grafana.json"));
  CHECK(board.at("title") == "Gatehouse");
  CHECK(board.at("panels").size() > 8);
  std::set<int> ids;
  for (const Json& panel : board.at("panels")) {
    CAPTURE(panel.at("title").get<std::string>());
    CHECK(ids.insert(panel.at("id").get<int>()).second);
    CHECK_FALSE(panel.at("targets").empty());
    for (const Json& target : panel.at("targets")) {
      const std::string expression = target.at("expr");
      CHECK_FALSE(named_in(expression).empty());
      check_all_exist(families, expression);
    }
  }
}

}  // namespace
}  // namespace gatehouse::testing
