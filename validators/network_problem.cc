#include "validators/network_problem.h"

#include <string>
#include <string_view>

#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/network_error.h"

namespace gatehouse::validators {

namespace {

struct Advice {
  ProblemType type = ProblemType::connection;
  std::string next_step;
};

Advice advice_for(const net::NetworkError& error, const Identifier& identifier, int port) {
  using Kind = net::NetworkError::Kind;
  switch (error.kind) {
    case Kind::dns:
      return {ProblemType::dns, "Check the name's A and AAAA records"};
    case Kind::denied:
      // The records are what must change; an address was chosen by the client itself.
      return {identifier.type == IdentifierType::dns ? ProblemType::dns
                                                     : ProblemType::rejectedIdentifier,
              "Use an address that this server's profile lets validation reach, or ask its "
              "operator to allow it"};
    case Kind::bad_host:
      return {ProblemType::incorrectResponse, "Redirect to a name or address in its usual form"};
    case Kind::connection:
      return {ProblemType::connection,
              "Check that a web server listens on port " + std::to_string(port) +
                  " of every address the name has, and that firewalls let this server through"};
    case Kind::tls:
      return {ProblemType::tls,
              "Check that the server speaks TLS 1.2 or later on the port it redirects to"};
    case Kind::response:
      return {ProblemType::incorrectResponse,
              "Check what answers on that address: it must be an HTTP server"};
    case Kind::redirect:
      return {ProblemType::incorrectResponse, "Serve the challenge file without that redirect"};
  }
  return {};
}

}  // namespace

Problem network_problem(const net::NetworkError& error, std::string_view challenge_type,
                        const Identifier& identifier, int port) {
  const Advice advice = advice_for(error, identifier, port);
  return {.type = advice.type,
          .detail = std::string(challenge_type) + " for " + identifier.value + ": " + error.detail +
                    ". " + advice.next_step + "."};
}

}  // namespace gatehouse::validators
