// Operator authentication: from the user behind the control socket to a proof that an operator
// asks.
//
// The engine has turned away all but the listener's users before a request is read
// (http::Listener::uids). This is the second lock: a command's handler takes the proof as an
// argument, so a route that forgot to ask does not compile.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

struct Admin;

// A command from a process of an operator. Lives no longer than the request.
class OperatorRequest {
 public:
  // The operator who asks.
  const Principal& actor() const { return actor_; }

  // What the command is told, as JSON text: for read_payload().
  const std::string& payload() const { return payload_; }

 private:
  friend class OperatorAuth;

  OperatorRequest(Principal actor, std::string payload)
      : actor_(std::move(actor)), payload_(std::move(payload)) {}

  Principal actor_;
  std::string payload_;
};

// Safe from any thread; `admin` outlives it, and so does it the endpoints it makes.
class OperatorAuth {
 public:
  // `uids`: whose processes are an operator's.
  OperatorAuth(Admin& admin, std::vector<std::uint32_t> uids)
      : admin_(admin), uids_(std::move(uids)) {}

  // Reads the command of a request, does it, gives its result: the answer's JSON.
  using Command = Json (*)(Admin&, const OperatorRequest&);

  ProvenEndpoint command(Command handler);

 private:
  Principal prove(const http::Request& request) const;
  Problem failed(const http::Request& request, const std::exception& failure) const;

  Admin& admin_;
  std::vector<std::uint32_t> uids_;
};

}  // namespace gatehouse::web
