#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::link_of;
using testing::problem_of;
using testing::TestKey;
using testing::TestWeb;

struct Fixture {
  Fixture() {
    client.new_account();
    other.new_account();
  }

  TestWeb web;
  Client client{web};
  Client other{web};
};

TEST_CASE("an order goes from pending to valid, and each answer says how far it is") {
  Fixture f;
  const http::Response created = f.client.new_order({"A.test", "*.b.test"});
  CHECK(created.status == 201);
  const std::string url = header_of(created, "Location");
  CHECK(url.starts_with(TestWeb::url("/order/")));
  Json order = json_of(created);
  CHECK(order["status"] == "pending");
  CHECK(from_rfc3339(order["expires"].get<std::string>()).has_value());
  CHECK(order["identifiers"] ==
        parse_json(R"([{"type":"dns","value":"a.test"},{"type":"dns","value":"*.b.test"}])"));
  CHECK(order["finalize"] == url + "/finalize");
  CHECK(order["authorizations"].size() == 2);
  for (const char* field : {"certificate", "error", "notBefore", "notAfter"}) {
    CHECK_FALSE(order.contains(field));
  }

  for (const Json& authorization : order["authorizations"]) {
    const std::string at = authorization.get<std::string>();
    const Json shown = json_of(f.client.get(at));
    CHECK(shown["status"] == "pending");
    CHECK(shown["identifier"]["value"].get<std::string>().find('*') == std::string::npos);
    CHECK(shown.contains("wildcard") == (shown["identifier"]["value"] == "b.test"));
    const Json& challenge = shown["challenges"][0];
    CHECK(base64url_decode(challenge["token"].get<std::string>())->size() >= 16);
    const http::Response begun = f.client.post(
        challenge["url"].get<std::string>(), Json{{"keyAuthorization", "x"}, {"status", "valid"}});
    CHECK(begun.status == 200);
    CHECK(json_of(begun)["status"] == "processing");
    CHECK(link_of(begun, "up") == at);
    CHECK_FALSE(header_of(begun, "Retry-After").empty());
    CHECK_FALSE(header_of(f.client.get(at), "Retry-After").empty());
  }
  f.web.services.run_jobs();
  CHECK(json_of(f.client.get(url))["status"] == "ready");
  const Json proven = json_of(f.client.get(order["authorizations"][0].get<std::string>()));
  CHECK(proven["status"] == "valid");
  CHECK(proven.contains("expires"));
  REQUIRE(proven["challenges"].size() == 1);  // the one that was validated
  CHECK(proven["challenges"][0].contains("validated"));

  const http::Response finalized = f.client.finalize(url, TestKey().csr({"a.test", "*.b.test"}));
  CHECK(finalized.status == 200);
  CHECK(header_of(finalized, "Location") == url);
  CHECK(json_of(finalized)["status"] == "processing");
  CHECK_FALSE(header_of(finalized, "Retry-After").empty());
  f.web.services.run_jobs();
  order = json_of(f.client.get(url));
  CHECK(order["status"] == "valid");

  const http::Response chain = f.client.get(order["certificate"].get<std::string>());
  CHECK(chain.status == 200);
  CHECK(header_of(chain, "Content-Type") == "application/pem-certificate-chain");
  CHECK(link_of(chain, "alternate").empty());
  const auto certificates = crypto::parse_pem_chain(*chain.body);
  REQUIRE(certificates.has_value());
  CHECK(certificates->front().dns_names.size() == 2);
}

TEST_CASE("a failed challenge is shown with its error, and its order without a way on") {
  Fixture f;
  f.web.services.http01->always(
      Problem{.type = ProblemType::connection, .detail = "connection refused"});
  const http::Response created = f.client.new_order({"a.test"});
  const std::string at = json_of(created)["authorizations"][0].get<std::string>();
  const std::string challenge =
      json_of(f.client.get(at))["challenges"][0]["url"].get<std::string>();
  f.client.post(challenge, Json::object());
  f.web.services.run_jobs();
  // tries go on: no error yet, a time to come back at
  http::Response shown = f.client.get(challenge);
  CHECK(json_of(shown)["status"] == "processing");
  CHECK_FALSE(json_of(shown).contains("error"));
  CHECK_FALSE(header_of(shown, "Retry-After").empty());
  for (int i = 0; i < 5; ++i) {
    f.web.services.advance(std::chrono::seconds(60));
    f.web.services.run_jobs();
  }
  shown = f.client.get(challenge);
  CHECK(json_of(shown)["status"] == "invalid");
  CHECK(json_of(shown)["error"]["type"] == "urn:ietf:params:acme:error:connection");
  CHECK(header_of(shown, "Retry-After").empty());
  CHECK(link_of(shown, "up") == at);
  const Json authorization = json_of(f.client.get(at));
  CHECK(authorization["status"] == "invalid");
  CHECK(authorization["challenges"].size() == 1);
  CHECK(json_of(f.client.get(header_of(created, "Location")))["status"] == "invalid");
  // a final challenge is never tried again
  const std::size_t tries = f.web.services.http01->calls();
  CHECK(json_of(f.client.post(challenge, Json::object()))["status"] == "invalid");
  f.web.services.run_jobs();
  CHECK(f.web.services.http01->calls() == tries);
}

TEST_CASE("a challenge is answered with an object; the empty payload only looks") {
  Fixture f;
  const Json order = json_of(f.client.new_order({"a.test"}));
  const Json authorization = json_of(f.client.get(order["authorizations"][0].get<std::string>()));
  const std::string challenge = authorization["challenges"][0]["url"].get<std::string>();
  for (const char* payload : {"[]", "\"x\"", "1", "null", "x"}) {
    const http::Response response = f.client.post(challenge, std::string_view(payload));
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == ProblemType::malformed);
  }
  CHECK(json_of(f.client.get(challenge))["status"] == "pending");
}

TEST_CASE("what another account has is not found") {
  Fixture f;
  const std::string certificate = f.client.certificate({"a.test"}, TestKey());
  REQUIRE_FALSE(certificate.empty());
  const http::Response created = f.client.new_order({"b.test"});
  const std::string order = header_of(created, "Location");
  const std::string authorization = json_of(created)["authorizations"][0].get<std::string>();
  const std::string challenge =
      json_of(f.client.get(authorization))["challenges"][0]["url"].get<std::string>();
  const Json csr = {{"csr", base64url_encode(TestKey().csr({"b.test"}))}};
  const http::Response answers[] = {
      f.other.get(order),         f.other.post(order + "/finalize", csr),
      f.other.get(authorization), f.other.post(authorization, Json{{"status", "deactivated"}}),
      f.other.get(challenge),     f.other.post(challenge, Json::object()),
      f.other.get(certificate),
  };
  for (const http::Response& answer : answers) {
    CHECK(answer.status == 404);
  }
  // in the same words as what nobody has
  CHECK(*f.other.get(order).body == *f.other.get(TestWeb::url("/order/nothing")).body);
  CHECK(*f.other.get(certificate).body == *f.other.get(TestWeb::url("/certificate/nothing")).body);
  CHECK(f.other.post(TestWeb::url("/order/nothing/finalize"), csr).status == 404);
  CHECK(json_of(f.client.get(authorization))["status"] == "pending");
}

TEST_CASE("an order that is not ready is not finalized, and says where it stands") {
  Fixture f;
  const std::string url = header_of(f.client.new_order({"a.test"}), "Location");
  const Bytes csr = TestKey().csr({"a.test"});
  const auto check_refused = [&](const std::string& order) {
    const http::Response response = f.client.finalize(order, csr);
    CHECK(response.status == 403);
    CHECK(problem_of(response).type == ProblemType::orderNotReady);
    CHECK(header_of(response, "Location") == order);
  };
  check_refused(url);
  const std::string ready = f.client.ready_order({"a.test"});
  CHECK(f.client.finalize(ready, csr).status == 200);
  check_refused(ready);
  f.web.services.run_jobs();
  check_refused(ready);
}

TEST_CASE("a CSR is base64url of DER, and a bad one leaves the order ready") {
  Fixture f;
  const std::string url = f.client.ready_order({"a.test"});
  const std::string good = base64url_encode(TestKey().csr({"a.test"}));

  struct Row {
    Json payload;
    ProblemType type;
  };

  for (const Row& row :
       {Row{Json::object(), ProblemType::malformed}, Row{{{"csr", 1}}, ProblemType::malformed},
        Row{{{"csr", ""}}, ProblemType::malformed},
        Row{{{"csr", good + "="}}, ProblemType::malformed},
        Row{{{"csr", good + "\n"}}, ProblemType::malformed},
        Row{{{"csr", "-----BEGIN CERTIFICATE REQUEST-----"}}, ProblemType::malformed},
        Row{{{"csr", std::string(45'000, 'A')}}, ProblemType::malformed},
        Row{{{"csr", "AAAA"}}, ProblemType::badCSR},
        Row{{{"csr", base64url_encode(TestKey().csr({"a.test", "b.test"}))}},
            ProblemType::badCSR}}) {
    CAPTURE(print_json(row.payload).substr(0, 60));
    const http::Response response = f.client.post(url + "/finalize", row.payload);
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == row.type);
    CHECK(json_of(f.client.get(url))["status"] == "ready");
  }
  CHECK(f.client.post(url + "/finalize", Json{{"csr", good}}).status == 200);
}

TEST_CASE("dates are RFC 3339, and are shown again") {
  Fixture f;
  const auto ordered = [&](const char* field, const Json& value) {
    return f.client.post(
        TestWeb::url("/new-order"),
        Json{{"identifiers", {{{"type", "dns"}, {"value", "a.test"}}}}, {field, value}});
  };
  for (const Json& bad : {Json("tomorrow"), Json("2026-06-02"), Json(1780315200), Json(""),
                          Json("2026-06-31T12:00:00Z")}) {
    CHECK(problem_of(ordered("notAfter", bad)).type == ProblemType::malformed);
  }
  const http::Response response = ordered("notAfter", "2026-06-11T14:00:00+02:00");
  CHECK(response.status == 201);
  CHECK(json_of(response)["notAfter"] == "2026-06-11T12:00:00Z");
}

TEST_CASE("an authorization is deactivated by saying so and by nothing else") {
  Fixture f;
  const std::string url = f.client.ready_order({"a.test"});
  const std::string authorization =
      json_of(f.client.get(url))["authorizations"][0].get<std::string>();
  for (const char* payload : {"{}", "{\"status\":\"valid\"}", "{\"status\":null}", "[]"}) {
    CHECK(problem_of(f.client.post(authorization, std::string_view(payload))).type ==
          ProblemType::malformed);
  }
  const http::Response response = f.client.post(authorization, Json{{"status", "deactivated"}});
  CHECK(response.status == 200);
  CHECK(json_of(response)["status"] == "deactivated");
  CHECK(json_of(f.client.get(url))["status"] == "invalid");
}

TEST_CASE("each chain of a certificate links to all others") {
  Fixture f;
  const auto last_of = [](const std::string& url) { return url.substr(url.rfind('/') + 1); };
  // A CA with cross-signed roots gives several chains. The order's job never runs here.
  const std::string order = f.client.ready_order({"a.test"});
  REQUIRE(f.client.finalize(order, TestKey().csr({"a.test"})).status == 200);
  CertificateRecord record;
  record.id = CertificateId("crossed");
  record.directory = DirectoryId("default");
  record.account = AccountId(last_of(f.client.kid));
  record.order = OrderId(last_of(order));
  record.issuance = f.web.services.issuances(record.order).front().id;
  record.chain_pem = "default";
  record.alternate_chains_pem = {"first", "second"};
  f.web.services.store->write([&](store::Tx& tx) { tx.certificates().insert(record); });
  const std::string url = TestWeb::url("/certificate/crossed");
  const auto alternates = [&](const std::string& at) {
    std::vector<std::string> links;
    for (const http::Header& header : f.client.get(at).headers) {
      if (header.name == "Link" && header.value.ends_with(">;rel=\"alternate\"")) {
        links.push_back(header.value.substr(1, header.value.find('>') - 1));
      }
    }
    return links;
  };
  const std::string first = url + "/alternate/0";
  const std::string second = url + "/alternate/1";
  CHECK(alternates(url) == std::vector{first, second});
  CHECK(alternates(first) == std::vector{url, second});
  CHECK(alternates(second) == std::vector{url, first});
  CHECK(*f.client.get(url).body == "default");
  CHECK(*f.client.get(first).body == "first");
  CHECK(*f.client.get(second).body == "second");
  for (const char* number : {"2", "-1", "00", "x", "0x0", "99999999999999999999"}) {
    CHECK(f.client.get(url + "/alternate/" + number).status == 404);
  }
}

}  // namespace
}  // namespace gatehouse::web
