// Handler: the whole application as one plain function from request to response, for every
// listener.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/context.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/admin/ops.h"
#include "acme-server/web/api.h"
#include "acme-server/web/hosts.h"
#include "acme-server/web/listener_options.h"  // IWYU pragma: export
#include "acme-server/web/router.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {

// Safe from any thread; blocks on the database. `context` and `files` outlive it.
class Handler {
 public:
  Handler(const WebOptions& options, service::Context& context, service::PublicFiles& files,
          Readiness readiness, ProcessFacts process);
  ~Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  // Answers anything. What fails inside is logged and answered as a problem; each request is logged
  // and counted. Throws only when there is no randomness for a nonce or a log id.
  http::Response handle(const http::Request& request);

  // The answer when nobody has time to handle(): 503 with Retry-After, in the form that fits the
  // listener.
  http::Response busy(const http::Request& request);

  // Takes allowed_hosts and trusted_proxies from `options`; requests under way keep those they
  // began with.
  void replace_hosts(const WebOptions& options);

 private:
  // Counts one route's answers.
  struct Tally {
    Counter answered, refused, failed;  // 2xx and 3xx, 4xx, 5xx
    Histogram seconds;
  };

  // What becomes known of a request on its way, for its log line.
  struct Trace {
    std::size_t route = Router::kNoRoute;
    std::string_view pattern = "none";
    std::string problem;  // short name of its type; empty: none
  };

  std::string client_of(const http::Request& request) const;
  Tally make_tally(std::string_view listener, std::string_view route);
  http::Response answer(const http::Request& request, Trace& trace);
  http::Response answer_public(const http::Request& request, Trace& trace);
  http::Response answer_operations(const http::Request& request, Trace& trace);
  http::Response answer_control(const http::Request& request, Trace& trace);
  http::Response answer_acme(const http::Request& request, Trace& trace);
  http::Response run_acme(const http::Request& request, Trace& trace, DirectoryId& directory);
  http::Response preflight(std::size_t route) const;
  http::Response problem(const Problem& problem, Trace& trace);
  void add_acme_headers(const http::Request& request, const DirectoryId& directory, bool index,
                        http::Response& response);
  const Tally& tally_of(const http::Request& request, const Trace& trace) const;

  service::Context& context_;
  service::PublicFiles& files_;
  Readiness readiness_;
  Api api_;
  RequestAuth auth_;
  Router router_;
  std::vector<std::string> patterns_;
  std::vector<Tally> tallies_;   // of routes, by their number
  std::vector<Tally> unrouted_;  // of each kind of listener, in the order of kListeners
  Admin admin_;
  OperatorAuth operator_auth_;
  Router commands_;
  std::vector<std::string> command_patterns_;
  std::map<ProblemType, Counter> problems_;
  Guarded<std::shared_ptr<const Hosts>> hosts_;
};

}  // namespace gatehouse::web
