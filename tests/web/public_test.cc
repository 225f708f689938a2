#include "acme-server/web/public.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/crypto/certificate.h"
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
      tx.crls().put({.issuer = services.ca->issuers().front().id,
                     .url = "http://pki.test/crl/scripted/0.crl",
                     .file = kFile,
                     .number = number,
                     .this_update = kNoon,
                     .next_update = kNoon + 24h,
                     .der = Bytes(content.begin(), content.end())});
    });
  }

  http::Response fetch(const std::string& target, const std::string& method = "GET",
                       std::vector<http::Header> headers = {}, Instant now = kNoon) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers = std::move(headers);
    return serve_public(files, request, now);
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

TEST_CASE("downloads share their bytes") {
  Fixture f;
  CHECK(f.fetch(kFile).body == f.fetch(kFile).body);
}

TEST_CASE("who has the CRL in force gets no second copy") {
  Fixture f;
  const std::string modified = header_of(f.fetch(kFile), "Last-Modified");
  const auto asked = [&](const std::string& since) {
    return f.fetch(kFile, "GET", {{.name = "If-Modified-Since", .value = since}});
  };
  CHECK(asked(modified).status == 304);
  CHECK(asked(modified).body == nullptr);
  CHECK(asked("Mon, 01 Jun 2026 11:00:00 GMT").status == 200);
  CHECK(asked("junk").status == 200);
}

TEST_CASE("issuers and roots can be fetched") {
  Fixture f;
  const backends::Issuer& issuer = f.services.ca->issuers().front();
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
