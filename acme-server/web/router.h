// Router: method and path to endpoint. Paths are compared as they came: nothing is decoded, folded,
// joined or cut, so a path that is not exactly one of ours is nobody's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/core/ids.h"
#include "acme-server/http/http.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/web/answer.h"

namespace gatehouse::web {

// A request on its way to an endpoint: where it goes, and nothing that anyone has proven. `request`
// outlives it.
struct Call {
  const http::Request& request;
  // The rules of the directory that it goes to, as they were when it came in. On the ACME listener
  // alone: an operator's command goes to none.
  std::shared_ptr<const service::Directory> directory;
  // Who sent it, as the log line has it: an address (Hosts::client_of), "uid:N" of a command.
  std::string client;
  std::vector<std::pair<std::string, std::string>> parameters = {};  // of the pattern, by name
  // Where request authentication notes whose key has signed, as soon as that is proven: what is
  // refused afterwards is refused to that account. Null: nobody asks.
  std::optional<AccountId>* signer = nullptr;

  // LogicError when the route's pattern has no such name.
  const std::string& parameter(std::string_view name) const;
};

using Endpoint = std::function<Answer(const Call&)>;

// An endpoint that anyone may call.
struct OpenEndpoint {
  Endpoint run;
};

// An endpoint behind a proof of who calls. RequestAuth makes them, of a signature, and
// OperatorAuth, of the user behind a unix socket: what takes a POST cannot be routed to without
// one.
class ProvenEndpoint {
 public:
  const Endpoint& run() const { return run_; }

 private:
  friend class RequestAuth;
  friend class OperatorAuth;

  explicit ProvenEndpoint(Endpoint run) : run_(std::move(run)) {}

  Endpoint run_;
};

// Filled once, then only read: safe from any thread.
class Router {
 public:
  // `pattern` has names in braces for whole segments: "/order/{order}/finalize". They match ids
  // (is_url_id).
  void get(std::string_view pattern, OpenEndpoint endpoint);  // HEAD too
  void post(std::string_view pattern, const ProvenEndpoint& endpoint);

  static constexpr std::size_t kNoRoute = static_cast<std::size_t>(-1);

  struct Match {
    std::size_t route = kNoRoute;        // which of patterns(); kNoRoute: no such path, 404
    const Endpoint* endpoint = nullptr;  // none although there is a route: 405
    std::vector<std::pair<std::string, std::string>> parameters = {};
  };

  Match match(std::string_view method, std::string_view path) const;

  // All patterns, in the order they were first named.
  std::vector<std::string> patterns() const;
  // What the Allow header of a route says (RFC 9110 section 10.2.1).
  std::string allowed(std::size_t route) const;

 private:
  struct Route {
    std::string pattern;
    std::vector<std::string> segments;
    Endpoint get, post;
  };

  Route& route_for(std::string_view pattern);

  std::vector<Route> routes_;
};

}  // namespace gatehouse::web
