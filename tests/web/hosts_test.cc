#include "acme-server/web/hosts.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

http::Request request_with(std::vector<http::Header> headers, std::string peer = "192.0.2.1") {
  http::Request request;
  request.headers = std::move(headers);
  request.peer.address = std::move(peer);
  return request;
}

TEST_CASE("we answer under our own name and those that were allowed") {
  const Hosts hosts(testing::test_web_options());

  struct Row {
    const char* host;
    bool answered;
  };

  for (const Row& row :
       {Row{"acme.test", true}, Row{"ACME.test", true}, Row{"acme.test:443", true},
        Row{"10.0.0.1:8443", true}, Row{"acme.test:444", false}, Row{"acme.test.", false},
        Row{"10.0.0.1", false}, Row{"evil.test", false}, Row{"", false},
        Row{"acme.test:443:443", false}, Row{"acme.test, evil.test", false}}) {
    INFO(std::string(row.host));
    CHECK(hosts.answer_to(request_with({{.name = "host", .value = row.host}})) == row.answered);
  }
  CHECK_FALSE(hosts.answer_to(request_with({})));
}

TEST_CASE("forwarded addresses are believed from trusted proxies, as far back as these go") {
  const Hosts hosts(testing::test_web_options());

  struct Row {
    const char* peer;
    std::vector<std::string> forwarded;
    const char* client;
  };

  const Row rows[] = {
      {"192.0.2.1", {}, "192.0.2.1"},
      {"192.0.2.1", {"198.51.100.1"}, "192.0.2.1"},  // a stranger says so
      {"10.9.0.1", {}, "10.9.0.1"},
      {"10.9.0.1", {"198.51.100.1"}, "198.51.100.1"},
      {"10.9.0.1", {"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},  // the client made up the first
      {"10.9.0.1", {"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
      {"10.9.0.1", {"198.51.100.1, 10.9.0.2"}, "198.51.100.1"},
      {"10.9.0.1", {"198.51.100.1, unknown, 10.9.0.2"}, "10.9.0.2"},
      {"10.9.0.1", {"junk"}, "10.9.0.1"},
      {"10.9.0.1", {"2001:db8::1"}, "2001:db8::1"},
  };
  for (const Row& row : rows) {
    INFO(std::string(row.peer));
    std::vector<http::Header> headers;
    for (const std::string& value : row.forwarded) {
      headers.push_back({.name = "X-Forwarded-For", .value = value});
    }
    CHECK(hosts.client_of(request_with(headers, row.peer)) == row.client);
  }
  http::Request local = request_with({{.name = "X-Forwarded-For", .value = "198.51.100.1"}}, "");
  local.peer.uid = 33;  // a proxy behind our unix socket
  CHECK(hosts.client_of(local) == "198.51.100.1");
}

}  // namespace
}  // namespace gatehouse::web
