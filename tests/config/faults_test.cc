#include "config/faults.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "config/config.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::config {
namespace {

using Lines = std::vector<std::string>;

Lines none(const Config&) {
  return {};
}

// What is told of `text` as a file, with `settings` over it.
Lines faults(const std::string& text, const std::vector<std::string>& settings = {},
             const CheckParts& check = none) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/gatehouse.json";
  std::ofstream(path) << text;
  return faults_of_file(path, settings, check);
}

TEST_CASE("every mistake is told at once, with its line, in the order of the file") {
  struct Row {
    const char* text;
    Lines lines;
  };

  const Row rows[] = {
      {"{\n  \"base_url\": \"https://acme.test\"\n}\n", {}},
      {R"({
  "base_url": "http://acme.test",  // a comment
  "profiles": {
    "default": {
      "validity": "90 days",
      "validty": "90d",
      "max_identifiers": 0
    },
    "short": {"validity": "1s"}
  },
  "log": {"level": "loud",
          "format": "xml"},
  "listeners": {
    "acme": [
      {"address": "::",
       "port": 70000},
      {"address": "::1", "prot": 1}
    ]
  }
})",
       {"gatehouse.json: base_url: must be https: ACME runs over HTTPS, behind a proxy too (RFC "
        "8555 section 6.1) (line 2)",
        "gatehouse.json: profiles.default.validity: \"90 days\" is not a duration: write a "
        "number and d, h, m, s or ms, such as \"90d\" (line 5)",
        "gatehouse.json: profiles.default.validty is not a known option; did you mean validity? "
        "(line 6)",
        "gatehouse.json: profiles.default.max_identifiers: 0 is not an integer in 1..100 (line 7)",
        "gatehouse.json: profiles.short.validity: \"1s\" is out of range (1m..3650d) (line 9)",
        "gatehouse.json: log.level: \"loud\" is none of: debug, info, warning, error (line 11)",
        "gatehouse.json: log.format: \"xml\" is none of: json, console (line 12)",
        "gatehouse.json: listeners.acme[0].port: 70000 is not a port (1..65535) (line 16)",
        "gatehouse.json: listeners.acme[1].prot is not a known option; did you mean port? (line "
        "17)"}},
      {"{\"base_url\": \"https://acme.test\", \"allowed_hosts\": [\n1\n]}",
       {"gatehouse.json: allowed_hosts[0]: must be a string, but is a number (line 2)"}},
      // What is missing is told at the object that lacks it.
      {"{\n\"listeners\": {\"acme\": [\n{\"address\": \"::\",\n\"tls\": {}}]}}",
       {"gatehouse.json: listeners.acme[0].tls.certificate: is required (line 4)",
        "gatehouse.json: base_url: is required"}},
      // A mistake in one option is not one in those that were to be compared with it.
      {"{\"base_url\": \"https://acme.test\",\n\"crl\": {\"lifetime\": \"30 d\",\n\"interval\": "
       "\"20d\"}}",
       {"gatehouse.json: crl.lifetime: \"30 d\" is not a duration: write a number and d, h, m, s "
        "or ms, such as \"90d\" (line 2)"}},
      {"{\"base_url\": \"https://acme.test\",\n\"listeners\": {\"acme\": [{\"address\": "
       "\"everywhere\"}]}}",
       {"gatehouse.json: listeners.acme[0].address: \"everywhere\" is not an IP address; \"::\" "
        "listens on every one (line 2)"}},
      {"{\"base_url\": \"https://acme.test\",\n\"backends\": [],\n\"profiles\": {\"p\": "
       "{\"backend\": \"est\"}}}",
       {"gatehouse.json: backends: must be an object, but is an array (line 2)"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(faults(row.text) == row.lines);
  }
}

TEST_CASE("what the command line has set stands in no line, and is told last") {
  CHECK(faults("{\"base_url\": \"https://acme.test\",\n\"threads\": {\"http\": 1,\n\"issuance\": "
               "0}}",
               {"threads.http=0"}) ==
        Lines{"gatehouse.json: threads.issuance: 0 is not an integer in 1..256 (line 3)",
              "gatehouse.json: threads.http: 0 is not an integer in 1..64"});
}

TEST_CASE("what the parts say of the rest is told with what the file's reader says") {
  const CheckParts check = [](const Config& config) {
    return Lines{"backends.local.key: of " + config.web.base_url};
  };
  CHECK(faults("{\"base_url\": \"https://acme.test\",\n\"backends\": {\"local\": {\n\"key\": "
               "\"x\"}},\n\"log\": 1}",
               {},
               check) == Lines{"gatehouse.json: backends.local.key: of https://acme.test (line 3)",
                               "gatehouse.json: log: must be an object, but is a number (line 4)"});
}

TEST_CASE("text that is no JSON is told with its line and column") {
  const auto told = [](const std::string& text) -> std::string {
    try {
      faults(text);
    } catch (const JsonError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(told("{\n  \"path\": \"/acme\"\n  \"log\": {}\n}")
            .starts_with("gatehouse.json: not valid JSON at line 3, column "));
  CHECK(told("{\n  # no\n}") ==
        "gatehouse.json: not valid JSON at line 2, column 3: comments begin with //, not with #");
  CHECK(told("{\n\"path\": \"/a\",\n\"path\": \"/b\"\n}") ==
        "gatehouse.json: path: is given twice (line 3)");
}

TEST_CASE("a duration without a unit is warned of, any other number is not") {
  const Config config = parse_config(R"({
  "base_url": "https://acme.test",
  "profiles": {"default": {
    "validity": 90,
    "max_identifiers": 90,
    "backdate": 0,
    "order_lifetime": "90d"
  }},
  "limits": {"read": 90, "connections": 90},
  "validators": {"http01": {"port": 90}}
})",
                                     "/etc/gatehouse/gatehouse.json", {"answer_wait.finalize=5"});
  CHECK(warnings_of(config) ==
        Lines{"gatehouse.json: profiles.default.validity: 90 is taken as seconds (1m 30s); write "
              "\"90d\" if days are meant (line 4)",
              "gatehouse.json: limits.read: 90 is taken as seconds (1m 30s); write \"90s\" to "
              "say so (line 9)",
              "gatehouse.json: answer_wait.finalize: 5 is taken as seconds (5s); write \"5s\" to "
              "say so"});
}

TEST_CASE("numbers of many profiles are warned of up to 20, each kind of option by itself") {
  Json profiles = Json::object();
  for (int i = 0; i < 64; ++i) {
    profiles["p" + std::to_string(i)] = {{"max_identifiers", 90}, {"validity", 90}};
  }
  const Json document = {
      {"base_url", "https://acme.test"}, {"profiles", profiles}, {"default_profile", "p0"}};
  const Lines warnings = warnings_of(parse_config(print_json(document), "gatehouse.json", {}));
  REQUIRE(warnings.size() == 20);
  for (const std::string& line : warnings) {
    CHECK(line.find(".validity: 90 is taken as seconds (1m 30s)") != std::string::npos);
  }
}

}  // namespace
}  // namespace gatehouse::config
