// TlsAlpn01 against servers with which no handshake, or not the right one, comes about.
#include <doctest/doctest.h>

#include "tests/support/tls_alpn_world.h"
#include "validators/tls_alpn01.h"

namespace gatehouse::validators {

TEST_CASE("servers that do not speak acme-tls/1") {
  const Bytes der = good().der();
  for (const std::string alpn : {"", "http/1.1", "h2", "acme-tls/2", "acme-tls/1.0", "ACME-TLS/1",
                                 "acme-tls/", "acme-tls/1 "}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(alpn);
      const auto outcome =
          meet({.certificates = {der}, .alpn = alpn, .max_version = version}).outcome;
      REQUIRE(outcome.problem);  // by us or by OpenSSL, which may look at it first
      CHECK((outcome.problem->type == ProblemType::unauthorized ||
             outcome.problem->type == ProblemType::tls));
    }
  }
  check_problem(meet({.certificates = {der}, .alpn = ""}).outcome, ProblemType::unauthorized,
                "chose no protocol in the TLS handshake (ALPN), where acme-tls/1 was the only one "
                "offered. Make the ACME client answer TLS handshakes for the name a.test");
  check_problem(meet({.certificates = {der}, .alpn = "!"}).outcome, ProblemType::tls,
                "no application protocol");
  check_problem(meet({.certificates = {der}, .refuses_name = true}).outcome, ProblemType::tls,
                "unrecognized name");
}

TEST_CASE("handshakes that fail") {
  const Bytes der = good().der();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    check_problem(meet({.certificates = {der}, .max_version = version}).outcome, ProblemType::tls,
                  "does not speak TLS 1.2 or later as it should");
  }
  // No certificate to show: no handshake, or an anonymous one.
  check_problem(meet({}).outcome, ProblemType::tls, "(TLS handshake)");
  check_problem(meet({.max_version = TLS1_2_VERSION, .ciphers = "aNULL"}).outcome, ProblemType::tls,
                "(TLS handshake)");
  check_problem(meet_raw([](int fd) { LoopbackServer::send_all(fd, "HTTP/1.1 400 Bad\r\n\r\n"); }),
                ProblemType::tls, "does not speak TLS 1.2 or later as it should");
  check_problem(meet_raw([](int fd) {
                  LoopbackServer::send_all(fd, std::string("\x15\x03\x03\0\2\2\x28", 7));
                }),
                ProblemType::tls, "handshake failure");
  check_problem(meet_raw([](int) {}), ProblemType::connection, "(TLS handshake)");
}

TEST_CASE("a server that stalls costs no more than the timeout") {
  for (const std::string& start : {std::string(), std::string("\x16\x03\x03\x01\x00\x02", 6)}) {
    const auto outcome = meet_raw(
        [&](int fd) {
          LoopbackServer::send_all(fd, start);
          char c = 0;
          while (::recv(fd, &c, 1, 0) > 0) {
          }
        },
        std::chrono::seconds(1));
    check_problem(outcome, ProblemType::connection, "sent nothing more in time (TLS handshake)");
  }
}

TEST_CASE("a handshake longer than any challenge's is cut off") {
  ChallengeCertificate large = good();
  large.extensions.push_back(testing::plain_extension("1.2.3.4", Bytes(64 * 1024, 'x')));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    check_problem(meet({.certificates = {large.der()}, .max_version = version}).outcome,
                  ProblemType::tls, "sent more than 32768 octets in the TLS handshake");
  }
  // The same for a chain of many, and for records without an end.
  const std::vector<Bytes> chain(100, good().der());
  check_problem(meet({.certificates = chain}).outcome, ProblemType::tls, "more than 32768 octets");
  // Large, within the bound: judged, and good.
  ChallengeCertificate fits = good();
  fits.extensions.push_back(testing::plain_extension("1.2.3.4", Bytes(16 * 1024, 'x')));
  CHECK_FALSE(meet({.certificates = {fits.der()}}).outcome.problem);
}

}  // namespace gatehouse::validators
