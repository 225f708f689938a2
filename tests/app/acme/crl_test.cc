// The CRL that is published, as `openssl crl` reads it: with none of our code.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/program.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

constexpr std::string_view kPki = "http://pki.test";  // ServerFolder's public_url

struct Published {
  Published() {
    const auto issued = [&](const std::string& name) {
      const ClientOrder order = issued_order(server, client, {name});
      return crypto::parse_pem_chain(client.download(order).body).value().at(0);
    };
    kept = issued("kept.test");
    revoked = issued("revoked.test");
    CHECK(client.revoke(revoked.der, 1).status == 200);
    server.run_jobs();
    const http::Response response =
        server.get("public", revoked.crl_urls.at(0).substr(kPki.size()));
    REQUIRE(response.status == 200);
    octets = *response.body;
  }

  // What `openssl crl` says of `crl`.
  Outcome openssl(std::string_view crl, const std::vector<std::string>& options) const {
    const std::string file = server.folder.path() + "/published.crl";
    write_file(file, crl, FileAccess::owner_only, ExistingFile::replace);
    std::vector<std::string> arguments = {"crl", "-inform", "DER", "-in", file, "-noout"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    Program program("openssl", arguments);
    const int code = program.wait();
    return {.code = code, .printed = program.printed()};
  }

  // The same, with its signature held against a certificate of the CA.
  Outcome verify(std::string_view crl, const std::string& against = "issuer.pem") const {
    return openssl(crl, {"-text", "-verify", "-CAfile", server.folder.path() + "/ca/" + against});
  }

  TestServer server;
  AcmeClient client = registered(server);
  crypto::Certificate kept, revoked;
  std::string octets;
};

bool says(const Outcome& outcome, std::string_view part) {
  return outcome.printed.find(part) != std::string::npos;
}

std::string in_capitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char each) { return std::toupper(each); });
  return text;
}

TEST_CASE("openssl verifies the CRL that is published, and finds on it what was revoked") {
  const Published published;
  const Outcome read = published.verify(published.octets);
  CAPTURE(read.printed);
  CHECK(read.code == 0);
  CHECK(says(read, "verify OK"));
  CHECK(says(read, "Serial Number: " + in_capitals(published.revoked.serial)));
  CHECK(says(read, "Key Compromise"));
  CHECK_FALSE(says(read, in_capitals(published.kept.serial)));
  CHECK(says(read, published.revoked.crl_urls.at(0)));  // issuingDistributionPoint
}

TEST_CASE("openssl takes it from no other issuer, nor changed") {
  const Published published;
  const Outcome by_root = published.verify(published.octets, "root.pem");
  CHECK_FALSE(says(by_root, "verify OK"));
  std::string changed = published.octets;
  changed[changed.find(std::string_view("\x0a\x01\x01", 3)) + 2] = 4;  // the reason
  CHECK(says(published.openssl(changed, {"-text"}), "Superseded"));
  CHECK(says(published.verify(changed), "verify failure"));
}

}  // namespace
}  // namespace gatehouse::testing
