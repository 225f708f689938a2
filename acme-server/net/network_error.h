// NetworkError: why validation did not get an answer from the net, in words a site owner can act
// on.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::net {

struct NetworkError {
  enum class Kind {
    dns,         // the name did not resolve
    denied,      // it resolved, but only to addresses that the policy keeps validation from
    bad_host,    // what stands where a name should is none
    connection,  // refused, unreachable, silent, or broken off
    tls,         // the handshake
    response,    // what came back is not HTTP
    redirect,    // to where validation does not go
  };
  Kind kind = Kind::connection;
  std::string detail;  // a sentence without a stop
  // The failure is what was answered, by DNS or by the server: refused, no such name, not HTTP.
  // Else nobody answered, or not to the end: a moment later it may be otherwise.
  bool answered = false;
};

// What was tried, one line each: for the audit log.
using Trail = std::vector<std::string>;

}  // namespace gatehouse::net
