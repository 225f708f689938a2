#include <doctest/doctest.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/signer.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

TEST_CASE("make_csr asks for what it is told, and OpenSSL reads it") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519}) {
    const TestKey key = TestKey::fixed(kind);
    const auto signer = load_signer(Secret(key.pem()), Secret());
    const Bytes der = make_csr(*signer, {"a.test", "b.test"}, {"192.0.2.1", "2001:db8::1"});
    const auto csr = parse_csr(der);
    REQUIRE(csr);
    CHECK(csr->dns_names == std::vector<std::string>{"a.test", "b.test"});
    CHECK(csr->ip_addresses == std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
    CHECK(csr->common_names.empty());
    const std::uint8_t* at = der.data();
    const std::unique_ptr<X509_REQ, void (*)(X509_REQ*)> request(
        d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())), X509_REQ_free);
    REQUIRE(request);
    CHECK(X509_REQ_verify(request.get(), key.handle()) == 1);
  }
  CHECK_THROWS_AS(make_csr(*load_signer(Secret(kP256Key), Secret()), {}, {"192.0.2"}),
                  std::runtime_error);
}

}  // namespace
}  // namespace gatehouse::crypto
