// Handler: the whole application as one function from request to response, for every listener.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/process_metrics.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/context.h"
#include "acme-server/service/operations/refusals.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/admin/ops.h"
#include "acme-server/web/answer.h"
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

  // Answers anything, by one call of `respond`: before it returns, or later on another thread when
  // the answer waits for a job (service/jobs/completions.h). What fails inside is logged and
  // answered as a problem; each request is logged and counted when its answer is sent. Throws only
  // when there is no randomness for a nonce or a log id.
  void handle(std::shared_ptr<const http::Request> request, http::Respond respond);

  // The answer when nobody has time to handle(): 503 with Retry-After, in the form that fits the
  // listener.
  http::Response busy(const http::Request& request);

  // Takes allowed_hosts, trusted_proxies and access_log from `options`; requests under way keep
  // the hosts and proxies they began with.
  void replace_hosts(const WebOptions& options);

 private:
  // Counts one route's answers.
  struct Tally {
    Counter answered, refused, failed;  // 2xx and 3xx, 4xx, 5xx
    Histogram seconds;
  };

  // What becomes known of a request on its way, for its log line and the headers of its answer.
  struct Trace {
    DirectoryId directory;
    std::size_t route = Router::kNoRoute;
    std::string_view pattern = "none";
    std::vector<std::pair<std::string, std::string>> parameters = {};  // of the route
    std::optional<AccountId> signer = {};                              // as Call has it
    std::optional<Problem> refusal = {};  // what it was answered with; none: it was served
    std::string client = {};              // as Call has it
  };

  // A request and its way back.
  struct Exchange {
    std::shared_ptr<const http::Request> request;
    http::Respond respond;
    std::chrono::steady_clock::time_point began;
    Trace trace;
  };

  std::string client_of(const http::Request& request) const;
  Tally make_tally(std::string_view listener, std::string_view route);
  Answer answer(const http::Request& request, Trace& trace);
  void reject_if_acme(const http::Request& request) const;
  Answer answer_public(const http::Request& request, Trace& trace);
  Answer answer_operations(const http::Request& request, Trace& trace);
  Answer answer_control(const http::Request& request, Trace& trace);
  Answer answer_acme(const http::Request& request, Trace& trace);
  void wait_and_send(std::shared_ptr<Exchange> exchange, Answer answer);
  void send(Exchange& exchange, http::Response response);
  bool is_logged(const http::Request& request, int status) const;
  void log_request(const http::Request& request, const Trace& trace, int status,
                   std::chrono::duration<double> taken);
  void log_refusal(const http::Request& request, const Trace& trace);
  void keep_refusal(const Trace& trace);
  http::Response preflight(std::size_t route) const;
  http::Response problem(const Problem& problem, Trace& trace);
  void add_acme_headers(const http::Request& request, const DirectoryId& directory, bool index,
                        http::Response& response);
  const Tally& tally_of(const http::Request& request, const Trace& trace) const;

  service::Context& context_;
  service::PublicFiles& files_;
  Readiness readiness_;
  ProcessMetrics process_metrics_;
  Api api_;
  RequestAuth auth_;
  Router router_;
  std::vector<std::string> patterns_;
  std::vector<Tally> tallies_;   // of routes, by their number
  std::vector<Tally> unrouted_;  // of each kind of listener, in the order of kListeners
  service::Refusals refusals_;
  Admin admin_;
  OperatorAuth operator_auth_;
  Router commands_;
  std::vector<std::string> command_patterns_;
  std::map<ProblemType, Counter> problems_;
  Guarded<std::shared_ptr<const Hosts>> hosts_;
  std::atomic<AccessLog> access_log_;
};

}  // namespace gatehouse::web
