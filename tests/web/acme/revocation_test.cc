#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/base64url.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::jwk_json;
using testing::problem_of;
using testing::sign_flattened;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;

struct Fixture {
  Fixture() {
    client.new_account();
    other.new_account();
    const std::string chain = *client.get(client.certificate({"a.test"}, certificate_key)).body;
    certificate = base64url_encode(crypto::parse_pem_chain(chain)->front().der);
  }

  http::Response by_key(const TestKey& key, const Json& payload) {
    const Json header = {
        {"alg", "ES256"}, {"jwk", jwk_json(key)}, {"nonce", web.nonce()}, {"url", url}};
    return web.post(url, sign_flattened(key, print_json(header), print_json(payload)));
  }

  TestWeb web;
  Client client{web};
  Client other{web};
  TestKey certificate_key;
  std::string certificate;
  std::string url = TestWeb::url("/revoke-cert");
};

TEST_CASE("what is no reason code is no reason") {
  Fixture f;
  for (const char* reason : {"-1", "2", "6", "7", "8", "10", "11", "1.0", "\"1\"", "null", "[]",
                             "9223372036854775808", "18446744073709551616"}) {
    INFO(std::string(reason));
    const http::Response response = f.client.post(
        f.url,
        std::string_view("{\"certificate\":\"" + f.certificate + "\",\"reason\":" + reason + "}"));
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == ProblemType::badRevocationReason);
  }
  CHECK(f.client.post(f.url, Json{{"certificate", f.certificate}, {"reason", 4}}).status == 200);
}

TEST_CASE("a certificate is base64url of DER") {
  Fixture f;
  for (const Json& payload :
       {Json::object(), Json{{"certificate", 1}}, Json{{"certificate", ""}},
        Json{{"certificate", f.certificate + "="}}, Json{{"certificate", f.certificate + "\n"}},
        Json{{"certificate", "-----BEGIN CERTIFICATE-----"}}, Json{{"certificate", "AAAA"}},
        Json{{"certificate", f.certificate.substr(4)}}}) {
    const http::Response response = f.client.post(f.url, payload);
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == ProblemType::malformed);
  }
}

TEST_CASE("the issuing account revokes, once") {
  Fixture f;
  CHECK(problem_of(f.other.post(f.url, Json{{"certificate", f.certificate}})).type ==
        ProblemType::unauthorized);
  const http::Response revoked = f.client.post(f.url, Json{{"certificate", f.certificate}});
  CHECK(revoked.status == 200);
  CHECK(revoked.body == nullptr);
  const http::Response again = f.client.post(f.url, Json{{"certificate", f.certificate}});
  CHECK(again.status == 400);
  CHECK(problem_of(again).type == ProblemType::alreadyRevoked);
}

TEST_CASE("the certificate's own key revokes, and no other key") {
  Fixture f;
  CHECK(problem_of(f.by_key(TestKey(), Json{{"certificate", f.certificate}})).type ==
        ProblemType::unauthorized);
  CHECK(problem_of(f.by_key(f.client.key, Json{{"certificate", f.certificate}})).type ==
        ProblemType::unauthorized);
  // whatever keys accounts may have now
  service::Directory directory = TestServices::default_directory();
  directory.account_keys.allowed = {crypto::KeyType::rsa};
  directory.certificate_keys.allowed = {crypto::KeyType::rsa};
  f.web.services.use(directory);
  CHECK(f.by_key(f.certificate_key, Json{{"certificate", f.certificate}, {"reason", 1}}).status ==
        200);
}

}  // namespace
}  // namespace gatehouse::web
