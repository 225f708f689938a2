#include "acme-server/web/public.h"

#include <doctest/doctest.h>

#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/crypto/certificate.h"
#include "acme-server/web/problem_json.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using namespace std::chrono_literals;
using testing::header_of;
using testing::kNoon;
using testing::TestServices;

constexpr const char* kFile = "/crl/scripted/0.crl";

struct Fixture {
  Fixture() { put(1, std::string(1000, 'c')); }

  void put(std::int64_t number, const std::string& content) {
    services.store->write([&](store::Tx& tx) {
      tx.crls().put_whole({.issuer = services.ca->issuer().id,
                           .url = "http://pki.test/crl/scripted/0.crl",
                           .file = kFile,
                           .number = number,
                           .this_update = kNoon,
                           .next_update = kNoon + 24h},
                          as_bytes(content));
    });
  }

  http::Response fetch(const std::string& target, const std::string& method = "GET",
                       std::vector<http::Header> headers = {}, Instant now = kNoon) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers = std::move(headers);
    try {
      return serve_public(files, request, now);
    } catch (const RequestRejected& rejected) {
      return problem_response(rejected.problem());
    }
  }

  TestServices services;
  service::PublicFiles files{services.context()};
};

TEST_CASE("a CRL is served as RFC 2585 says, with what caches need") {
  Fixture f;
  const http::Response response = f.fetch(kFile);
  CHECK(response.status == 200);
  CHECK(header_of(response, "Content-Type") == "application/pkix-crl");
  CHECK(*response.body == std::string(1000, 'c'));
  CHECK(header_of(response, "Last-Modified") == "Mon, 01 Jun 2026 12:00:00 GMT");
  CHECK(header_of(response, "Expires") == "Tue, 02 Jun 2026 12:00:00 GMT");
  CHECK(header_of(response, "Cache-Control") == "public, max-age=3600");
}

TEST_CASE("no cache keeps a CRL past its end") {
  Fixture f;
  CHECK(header_of(f.fetch(kFile, "GET", {}, kNoon + 24h - 10s), "Cache-Control") ==
        "public, max-age=10");
  CHECK(header_of(f.fetch(kFile, "GET", {}, kNoon + 25h), "Cache-Control") == "public, max-age=0");
}

TEST_CASE("downloads share their bytes, those that come for it at once too") {
  Fixture f;
  std::vector<std::shared_ptr<const std::string>> bodies(16);
  {
    std::barrier together(std::ssize(bodies));
    std::vector<std::jthread> clients;  // ends before the barrier does
    for (auto& body : bodies) {
      clients.emplace_back([&] {
        together.arrive_and_wait();
        body = f.fetch(kFile).body;
      });
    }
  }
  for (const auto& body : bodies) CHECK(body == bodies.front());
}

TEST_CASE("a CRL that has not changed is held on to when a minute is over") {
  Fixture f;
  const auto body = f.fetch(kFile).body;
  f.services.advance(std::chrono::minutes(2));
  CHECK(f.fetch(kFile).body == body);
  f.put(2, "another");
  CHECK(f.fetch(kFile).body == body);  // for a minute at most: another node has made it
  f.services.advance(std::chrono::minutes(2));
  CHECK(*f.fetch(kFile).body == "another");
}

TEST_CASE("who has the CRL in force gets no second copy") {
  Fixture f;
  const std::string modified = header_of(f.fetch(kFile), "Last-Modified");
  const auto asked = [&](const std::string& since) {
    return f.fetch(kFile, "GET", {{.name = "If-Modified-Since", .value = since}});
  };
  CHECK(asked(modified).status == 304);
  CHECK(asked(modified).body == nullptr);
  CHECK(asked("Mon, 01 Jun 2026 12:00:01 GMT").status == 304);
  CHECK(asked("Mon, 01 Jun 2026 11:59:59 GMT").status == 200);
  for (const char* junk :
       {"junk", "", "Tue, 01 Jun 2026 12:00:00 GMT", "Mon, 1 Jun 2026 12:00:00 GMT",
        "Mon, 01 Jun 2026 12:00:00 UTC", "Monday, 01-Jun-26 12:00:00 GMT",
        "Mon, 01 Xxx 2026 12:00:00 GMT", "Mon, 01 Jun 2026 12:0a:00 GMT"}) {
    CAPTURE(junk);
    CHECK(asked(junk).status == 200);
  }
}

TEST_CASE("who names the tag of the CRL in force gets no second copy, whatever the date") {
  Fixture f;
  const std::string tag = header_of(f.fetch(kFile), "ETag");
  CHECK(tag.size() == 34);
  const auto asked = [&](const std::string& tags) {
    return f.fetch(kFile, "GET",
                   {{.name = "If-None-Match", .value = tags},
                    {.name = "If-Modified-Since", .value = "Mon, 01 Jun 2026 12:00:00 GMT"}});
  };
  for (const std::string& known :
       {tag, "W/" + tag, "\"x\", " + tag, "\"x\"," + tag + ",\"y\"", std::string("*")}) {
    CAPTURE(known);
    CHECK(asked(known).status == 304);
    CHECK(header_of(asked(known), "ETag") == tag);
  }
  for (const std::string& other :
       {std::string("\"x\""), std::string(), tag.substr(1), "\"x" + tag}) {
    CAPTURE(other);
    CHECK(asked(other).status == 200);
  }
  f.put(2, "another");
  f.files.forget(kFile);
  CHECK(asked(tag).status == 200);
  CHECK(header_of(f.fetch(kFile), "ETag") != tag);
}

TEST_CASE("issuers and roots can be fetched") {
  Fixture f;
  const backends::Issuer& issuer = f.services.ca->issuer();
  const http::Response certificate = f.fetch("/issuer/" + issuer.id.str() + ".cer");
  CHECK(certificate.status == 200);
  CHECK(header_of(certificate, "Content-Type") == "application/pkix-cert");
  CHECK(*certificate.body == as_text(issuer.certificate.der));
  const http::Response root = f.fetch("/root.pem");
  CHECK(*root.body == crypto::to_pem(f.services.ca->root().der));
  CHECK(header_of(root, "Cache-Control") == "public, max-age=3600");
}

TEST_CASE("what is no file is not found, and files are only read") {
  Fixture f;
  for (const char* target :
       {"/", "", "/crl/", "/crl/scripted/1.crl", "//crl/scripted/0.crl", "/crl/scripted/0.crl/",
        "/crl/scripted/../scripted/0.crl", "/crl/scripted/%30.crl", "/crl/scripted/0.crl?x",
        "/issuer/x.cer", "/etc/passwd", "/directory"}) {
    INFO(std::string(target));
    const http::Response response = f.fetch(target);
    CHECK(response.status == 404);
    CHECK(testing::problem_of(response).type == ProblemType::unspecified);
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    const http::Response response = f.fetch(kFile, method);
    CHECK(response.status == 405);
    CHECK(header_of(response, "Allow") == "GET, HEAD");
  }
  CHECK(f.fetch(kFile, "HEAD").status == 200);
}

}  // namespace
}  // namespace gatehouse::web
