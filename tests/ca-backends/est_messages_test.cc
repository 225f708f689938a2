// What the EST backend reads before and behind its requests: options, bodies, attributes.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/crypto/der.h"
#include "ca-backends/est/csr_attributes.h"
#include "ca-backends/est/est_message.h"
#include "ca-backends/est/est_options.h"
#include "tests/support/backend_options.h"
#include "tests/support/est_server.h"

namespace gatehouse::backends {

namespace der = crypto::der;

TEST_CASE("wrong options of an EST backend are refused with the option's path") {
  const Json good = testing::least_est_options("https://est.test");
  testing::check_wrong_options(
      good,
      {
          {{{"url", nullptr}}, "backends.corp.url"},
          {{{"url", "http://est.test"}}, "backends.corp.url"},
          {{{"url", "https://est.test/x?y=z"}}, "backends.corp.url"},
          {{{"url", "https://est.test/.well-known/est/simpleenroll"}}, "ends with an operation"},
          {{{"label", "a/b"}}, "backends.corp.label"},
          {{{"label", "cacerts"}}, "backends.corp.label"},
          {{{"label", ".."}}, "backends.corp.label"},
          {{{"tls", nullptr}}, "backends.corp.tls.ca: is missing"},
          {{{"tls", {{"ca", Json::array()}}}}, "backends.corp.tls.ca: is missing"},
          {{{"tls", {{"ca", {"x"}}, {"verify", false}}}}, "backends.corp.tls.verify"},
          {{{"tls", {{"ca", {"x"}}, {"certificate", "y"}}}}, "backends.corp.tls.key: is missing"},
          {{{"tls", {{"ca", {"x"}}, {"key", "y"}}}}, "backends.corp.tls.certificate: is missing"},
          {{{"tls", {{"ca", {"x"}}, {"minimum", "1.1"}}}}, "backends.corp.tls.minimum"},
          {{{"password", "hunter2"}}, "backends.corp.password"},
          {{{"password", nullptr}}, "backends.corp.password: is missing"},
          {{{"user", nullptr}}, "backends.corp.user: is missing"},
          {{{"user", "a:b"}}, "backends.corp.user"},
          {{{"authentication", "ntlm"}}, "backends.corp.authentication"},
          {{{"proxy", {{"url", "https://p"}}}}, "backends.corp.proxy.url"},
          {{{"proxy", {{"url", "http://p:1/x"}}}}, "backends.corp.proxy.url"},
          {{{"proxy", {{"url", "http://p:1"}, {"user", "u"}, {"password", "hunter2"}}}},
           "backends.corp.proxy.password"},
          {{{"timeout", "1h"}}, "backends.corp.timeout"},
          {{{"at_once", 0}}, "backends.corp.at_once"},
          {{{"anchors", nullptr}}, "backends.corp.anchors"},
          {{{"client_dates", true}}, "backends.corp.client_dates"},
      });
}

TEST_CASE("a URL without a path means the well-known one, and the label comes behind it") {
  const auto base = [](const Json& more) {
    Json options = testing::least_est_options("https://est.test");
    options.update(more);
    return read_est_options(JsonObject(options, "backends.corp")).base;
  };
  CHECK(base(Json::object()) == "https://est.test/.well-known/est");
  CHECK(base({{"label", "web"}}) == "https://est.test/.well-known/est/web");
  CHECK(base({{"url", "https://est.test:8443/x/est/"}}) == "https://est.test:8443/x/est");
}

TEST_CASE("what is no CsrAttrs is an error, whatever it is") {
  const Bytes bad[] = {
      {},
      {0x30},
      {0x30, 0x02, 0x06},
      der::sequence({der::integer(1)}),
      der::sequence({der::oid("1.2.3")}),
      der::sequence({der::sequence({der::integer(1)})}),
      der::sequence({der::element(0x06, Bytes{0x80})}),
      der::sequence({der::element(0x06, Bytes(5, 0xff))}),
  };
  for (const Bytes& each : bad) {
    const bool fine = each == der::sequence({der::oid("1.2.3")});
    CHECK(bool(describe_csr_attributes(each)) == fine);
  }
  Bytes many;
  for (std::size_t i = 0; i <= kMaxCsrAttributes; ++i) der::append(many, der::oid("2.5.4.3"));
  CHECK_FALSE(describe_csr_attributes(der::element(der::kSequence, many)));
}

TEST_CASE("a body that is neither base64 nor PEM nor DER is none") {
  CHECK_FALSE(decode_est_body(""));
  CHECK_FALSE(decode_est_body("<html>"));
  CHECK_FALSE(decode_est_body("-----BEGIN PKCS7-----\nAAAA"));
}

}  // namespace gatehouse::backends
