// What a listener's certificate and key files may hold.
#include "tests/support/listener_files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/app/server/preflight.h"
#include "acme-server/base/clock.h"
#include "acme-server/http/http_options.h"
#include "config/config.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("a listener's files are checked: dates, order, fit, secrecy") {
  const TemporaryFolder folder;
  ManualClock clock(SystemClock().now());
  ListenerFiles files(folder.path(), clock);
  const Instant now = clock.now();
  const CaFile good = files.make("acme.test", now + std::chrono::hours(24));
  const CaFile other = files.make("acme.test", now + std::chrono::hours(24));
  const CaFile late = files.make("acme.test", now - std::chrono::hours(1));
  config::ListenerConfig listener;
  listener.certificate = config::CertificateSource::files;
  listener.certificate_file = files.certificate;
  listener.key_file = files.key;
  const auto problem = [&]() -> std::string {
    try {
      app::read_tls_files(listener, now);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "nothing";
  };
  files.write(good.pem + files.ca.root.pem, good.key_pem);
  CHECK(problem() == "nothing");
  files.write(good.pem, other.key_pem);
  CHECK(problem().find("is not the key of the certificate") != std::string::npos);
  files.write(late.pem, late.key_pem);
  CHECK(problem().find("is valid from") != std::string::npos);
  files.write(files.ca.root.pem + good.pem, good.key_pem);  // their order is found
  CHECK(problem() == "nothing");
  files.write(good.pem + other.pem, good.key_pem);
  CHECK(problem().find("has not signed") != std::string::npos);
  files.write(good.pem, good.key_pem, FileAccess::everyone_reads);
  CHECK(problem().find("chmod 600 " + files.key) != std::string::npos);
  CHECK(problem().find("\"allow_readable_key\": true") != std::string::npos);
  listener.allow_readable_key = true;
  CHECK(problem() == "nothing");
  REQUIRE(::chmod(files.key.c_str(), 0666) == 0);
  CHECK(problem().find("other users can write this private key") != std::string::npos);
  REQUIRE(::chmod(files.key.c_str(), 0600) == 0);
  listener.allow_readable_key = false;
  CHECK(problem() == "nothing");
  files.write("no certificate", good.key_pem);
  CHECK(problem().find(files.certificate) != std::string::npos);
  files.write(good.pem, "no key");
  CHECK(problem().find(files.key) != std::string::npos);
}

TEST_CASE("a listener's certificates are read in every form that CAs hand out") {
  const TemporaryFolder folder;
  ManualClock clock(SystemClock().now());
  ListenerFiles files(folder.path(), clock);
  const Instant now = clock.now();
  const CaFile good = files.make("acme.test", now + std::chrono::hours(24));
  config::ListenerConfig listener;
  listener.certificate = config::CertificateSource::files;
  listener.certificate_file = files.certificate;
  listener.client_ca_file = files.certificate;
  listener.key_file = files.key;
  const std::string chain = files.ca.root.pem + good.pem;
  const std::pair<std::string, std::string> forms[] = {
      {chain, "cat"},
      {chain, "sed 's/$/\\r/'"},
      {good.pem, "openssl x509 -outform DER"},
      {good.pem, "openssl x509 -trustout"},
      {good.pem, "openssl x509 -outform DER | base64"},
      {chain, kPkcs7},
      {chain, "openssl crl2pkcs7 -nocrl -certfile /dev/stdin"},
      // AD CS: PKCS#7 under the label of a certificate.
      {chain, std::string("echo '-----BEGIN CERTIFICATE-----'; ") + kPkcs7 +
                  " | base64; echo '-----END CERTIFICATE-----'"}};
  for (const auto& [pem, command] : forms) {
    CAPTURE(command);
    files.write(files.made_of(pem, command), good.key_pem);
    const http::TlsOptions tls = app::read_tls_files(listener, now);
    CHECK(tls.certificate_chain_pem == (pem == chain ? good.pem + files.ca.root.pem : good.pem));
    CHECK(tls.client_ca_pem.value().find(good.pem) != std::string::npos);
    CHECK(app::listener_certificate(files.certificate).der == good.certificate.der);
  }
  files.write(files.made_of(good.key_pem + good.pem,
                            "openssl pkcs12 -export -passout pass: -in /dev/stdin"),
              good.key_pem);
  CHECK_THROWS_WITH(app::read_tls_files(listener, now), doctest::Contains("PKCS#12 (.pfx, .p12)"));
}

}  // namespace
}  // namespace gatehouse::testing
