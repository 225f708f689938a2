#include "validators/tls_alpn01.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/acme_certificate.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/net/address_policy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/tls_stream.h"
#include "validators/network_problem.h"
#include "validators/options_reader.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

namespace {

constexpr std::string_view kProtocol = "acme-tls/1";
// The certificate of a challenge takes about 1 kB, with an RSA key of 8192 bits 3 kB; the rest is
// room for a chain that nobody asked for. Nothing longer can be right.
constexpr std::size_t kMaxHandshake = std::size_t{32} * 1024;
constexpr std::size_t kProtocolSample = 100;

// Whom we ask, and for what.
struct Call {
  std::string identifier;
  std::string server_name;  // SNI
  std::string where;        // "192.0.2.1:443"
  // The server is_global(): what it says may be told to the client, who chose whom we ask.
  bool may_be_told = true;
};

Problem problem_of(ProblemType type, const Call& call, const std::string& what,
                   const std::string& next_step) {
  return {.type = type,
          .detail = "tls-alpn-01 for " + call.identifier + ": " + call.where + " " + what + ". " +
                    next_step + "."};
}

std::string answer_handshakes(const Call& call) {
  return "Make the ACME client answer TLS handshakes for the name " + call.server_name +
         " that offer " + std::string(kProtocol) +
         " there; a proxy or CDN in front of it must pass them through";
}

Problem handshake_failure(const Call& call, const net::IoError& error) {
  switch (error.kind) {
    case net::IoError::Kind::timeout:
    case net::IoError::Kind::reset:
      return problem_of(ProblemType::connection, call, error.detail + " (TLS handshake)",
                        answer_handshakes(call));
    case net::IoError::Kind::tls:
      break;
  }
  return problem_of(ProblemType::tls, call, error.detail + " (TLS handshake)",
                    answer_handshakes(call));
}

crypto::AcmeCertificateTerms terms_of(const ValidationRequest& request) {
  crypto::AcmeCertificateTerms terms{
      .dns_name = "", .address = std::nullopt, .digest = crypto::sha256(request.key_authorization)};
  if (request.identifier.type == IdentifierType::ip) {
    terms.address = IpAddress::parse(request.identifier.value);
    ACME_CHECK(terms.address.has_value());
  } else {
    terms.dns_name = request.identifier.value;
  }
  return terms;
}

std::string name_of(const Call& call, const std::string& protocol) {
  if (protocol.empty()) return "no protocol";
  return call.may_be_told ? "\"" + sanitize(protocol, kProtocolSample) + "\"" : "another protocol";
}

// What is wrong with whom we have shaken hands with, or nothing.
std::optional<Problem> judge(const Call& call, const net::TlsStream& tls, const Bytes& certificate,
                             const crypto::AcmeCertificateTerms& terms) {
  // RFC 8737 section 3: "Verify that the ALPN extension [...] contains the value "acme-tls/1" [and]
  // that the server selected" it. A server that did not may have the certificate by accident.
  const std::string chosen = tls.negotiated_alpn();
  if (chosen != kProtocol) {
    return problem_of(ProblemType::unauthorized, call,
                      "chose " + name_of(call, chosen) + " in the TLS handshake (ALPN), where " +
                          std::string(kProtocol) + " was the only one offered",
                      answer_handshakes(call));
  }
  if (certificate.empty())
    return problem_of(ProblemType::unauthorized, call, "showed no certificate",
                      answer_handshakes(call));
  const auto complaint = crypto::why_not_acme_certificate(certificate, terms);
  if (!complaint) return std::nullopt;
  return problem_of(
      ProblemType::unauthorized, call,
      "answered for " + std::string(kProtocol) + ", but " +
          (call.may_be_told ? *complaint
                            : "the certificate is not the one for this challenge (what it holds "
                              "is shown for public addresses alone)"),
      "Show the certificate that the ACME client made for this challenge");
}

std::string trail_line(const Call& call, const net::TlsStream& tls, const Bytes& certificate) {
  return "tls " + call.where + ": " + tls.version() + ", SNI " + call.server_name + ", ALPN \"" +
         sanitize(tls.negotiated_alpn(), kProtocolSample) + "\", certificate SHA-256 " +
         crypto::sha256_hex(certificate);
}

}  // namespace

std::string reverse_name_of(const IpAddress& address) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const ByteView octets = address.bytes();
  std::string name;
  for (std::size_t i = octets.size(); i-- > 0;) {
    const std::uint8_t octet = octets[i];
    if (address.v6) {
      name += {kDigits[octet & 0xfU], '.', kDigits[octet >> 4U], '.'};
    } else {
      name += std::to_string(octet) + ".";
    }
  }
  return name + (address.v6 ? "ip6.arpa" : "in-addr.arpa");
}

TlsAlpn01Options TlsAlpn01::read_options(const JsonObject& json) {
  json.only({"port", "timeout_seconds"});
  TlsAlpn01Options options;
  options.port = read_port(json, "port").value_or(options.port);
  options.timeout = read_timeout(json).value_or(options.timeout);
  return options;
}

TlsAlpn01::TlsAlpn01(Options options, net::Egress& egress) : options_(options), egress_(&egress) {}

ValidationOutcome TlsAlpn01::validate(const ValidationRequest& request, Deadline deadline) {
  ACME_CHECK(can_validate(request.identifier));
  const crypto::AcmeCertificateTerms terms = terms_of(request);
  const Deadline until = deadline.at_most(options_.timeout);
  ValidationOutcome outcome;
  auto connection = egress_->connect(request.identifier.value, options_.port,
                                     net::AddressPolicy(request.addresses), until, outcome.trail);
  if (!connection) {
    outcome.problem =
        network_problem(connection.error(), challenge_type(), request.identifier, options_.port);
    outcome.answered = connection.error().answered;
    return outcome;
  }

  const Call call{.identifier = request.identifier.value,
                  .server_name = terms.address ? reverse_name_of(*terms.address) : terms.dns_name,
                  .where = connection->endpoint.to_string(),
                  .may_be_told = net::is_global(connection->endpoint.address)};
  // Nothing is sent over the stream: RFC 8737 section 4 has it closed after the handshake.
  const auto tls = net::TlsStream::connect(std::move(connection->stream),
                                           {.server_name = call.server_name,
                                            .alpn = {std::string(kProtocol)},
                                            .max_handshake = kMaxHandshake},
                                           until);
  if (!tls) {
    outcome.trail.push_back("tls " + call.where + ": " + tls.error().detail);
    outcome.problem = handshake_failure(call, tls.error());
    outcome.answered = tls.error().kind == net::IoError::Kind::tls;
    return outcome;
  }
  const Bytes certificate = (*tls)->peer_certificate_der();
  outcome.trail.push_back(trail_line(call, **tls, certificate));
  outcome.problem = judge(call, **tls, certificate, terms);
  outcome.answered = outcome.problem.has_value();
  return outcome;
}

}  // namespace gatehouse::validators
