// A TlsAlpn01 validator and its world: a name at a public address whose servers are on loopback.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/net/socket_dialer.h"
#include "tests/support/challenge_certificate.h"
#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/loopback_server.h"
#include "tests/support/prefixes.h"
#include "tests/support/tls_alpn_peer.h"
#include "validators/tls_alpn01.h"

namespace gatehouse::validators {

using testing::ChallengeCertificate;
using testing::LoopbackServer;
using testing::TestKey;
using testing::TlsAlpnPeer;
using testing::TlsAlpnPeerOptions;
using testing::TlsAlpnVisit;
using Texts = std::vector<std::string>;
using Kind = TestKey::Kind;

inline const std::string kKeyAuthorization = "token.thumbprint";
inline const crypto::Sha256 kDigest = crypto::sha256(kKeyAuthorization);
inline const Identifier kName = {IdentifierType::dns, "a.test"};

inline const net::AddressPolicyOptions kLoopback = {.allowed = testing::prefixes({"127.0.0.1"}),
                                                    .denied = {}};

// The address of the name, which is public; its servers are on loopback.
inline constexpr std::string_view kPublic = "9.9.9.9";

class Rerouter final : public net::Dialer {
 public:
  Expected<std::unique_ptr<net::Stream>, net::DialError> dial(const net::Endpoint& endpoint,
                                                              Deadline deadline) override {
    net::Endpoint to = endpoint;
    if (to.address == IpAddress::parse(kPublic)) to.address = IpAddress::v4(127, 0, 0, 1);
    return sockets_.dial(to, deadline);
  }

 private:
  net::SocketDialer sockets_;
};

struct World {
  testing::FakeResolver resolver;
  Rerouter dialer;
  net::Egress egress{resolver, dialer};

  World() {
    resolver.add_address("a.test", kPublic);
    resolver.add_address("private.test", "127.0.0.1");
  }

  ValidationOutcome validate(std::uint16_t port, const Identifier& identifier = kName,
                             std::chrono::seconds timeout = std::chrono::seconds(20),
                             const net::AddressPolicyOptions& addresses = kLoopback) {
    return TlsAlpn01({.port = port, .timeout = timeout}, egress)
        .validate({.identifier = identifier,
                   .token = "token",
                   .key_authorization = kKeyAuthorization,
                   .account_url = "",
                   .addresses = addresses},
                  Deadline::in(std::chrono::seconds(30)));
  }
};

struct Result {
  ValidationOutcome outcome;
  TlsAlpnVisit visit;
};

inline Result meet(TlsAlpnPeerOptions options, const Identifier& identifier = kName) {
  World world;
  TlsAlpnPeer peer(std::move(options));
  Result result;
  {
    LoopbackServer server([&](int fd) { peer.serve(fd); });
    result.outcome = world.validate(server.port(), identifier);
  }
  result.visit = peer.visit();
  return result;
}

// What comes of a peer that is none.
inline ValidationOutcome meet_raw(LoopbackServer::Serve serve,
                                  std::chrono::seconds timeout = std::chrono::seconds(20)) {
  World world;
  LoopbackServer server(std::move(serve));
  return world.validate(server.port(), kName, timeout);
}

inline ChallengeCertificate good(Kind kind = Kind::p256) {
  return ChallengeCertificate::of("a.test", kDigest, kind);
}

inline std::string detail_of(const ValidationOutcome& outcome) {
  return outcome.problem ? outcome.problem->detail : "";
}

inline void check_problem(const ValidationOutcome& outcome, ProblemType type,
                          const std::string& part) {
  REQUIRE(outcome.problem);
  CAPTURE(outcome.problem->detail);
  CHECK(outcome.problem->type == type);
  CHECK(outcome.problem->detail.starts_with("tls-alpn-01 for a.test: 9.9.9.9:"));
  CHECK(outcome.problem->detail.ends_with("."));
  CHECK(outcome.problem->detail.find(part) != std::string::npos);
}

}  // namespace gatehouse::validators
