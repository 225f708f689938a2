#include "acme-server/web/handler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/text.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/context.h"
#include "acme-server/service/operations/chain_ends.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/web/acme/routes.h"
#include "acme-server/web/admin/ops.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/hosts.h"
#include "acme-server/web/links.h"
#include "acme-server/web/listener_options.h"
#include "acme-server/web/problem_json.h"
#include "acme-server/web/public.h"
#include "acme-server/web/responses.h"
#include "acme-server/web/router.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxLoggedTarget = 200;
constexpr std::size_t kMaxLoggedAgent = 200;
constexpr std::size_t kMaxLoggedHost = 253;
constexpr std::chrono::seconds kBusyRetry{5};

const std::vector<double>& latency_buckets() {
  static const std::vector<double> kBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                               0.1,   0.25,   0.5,   1,    2.5,   10};
  return kBuckets;
}

bool has_header(const http::Response& response, std::string_view name) {
  return http::find_header(response.headers, name) != nullptr;
}

// The parameter `name` of a route, or "".
std::string parameter_of(const std::vector<std::pair<std::string, std::string>>& parameters,
                         std::string_view name) {
  const auto found = std::ranges::find(
      parameters, name, [](const auto& each) { return std::string_view(each.first); });
  return found == parameters.end() ? "" : found->second;
}

std::string short_name_of(const Problem& problem) {
  return std::string(short_name(urn_of(problem.type)));
}

// What the client reads, the parts of a compound problem included.
std::string print_detail(const Problem& problem) {
  std::string text = problem.detail;
  for (const Subproblem& part : problem.subproblems) {
    text += "; " + (part.identifier ? part.identifier->value + ": " : "") + part.detail;
  }
  return text;
}

template <class Id>
std::optional<Id> id_of(const std::vector<std::pair<std::string, std::string>>& parameters,
                        std::string_view name) {
  const std::string text = parameter_of(parameters, name);
  return text.empty() ? std::nullopt : std::optional(Id(text));
}

std::string agent_of(const http::Request& request) {
  const std::string* const agent = http::find_header(request.headers, "User-Agent");
  return agent == nullptr ? "" : sanitize(*agent, kMaxLoggedAgent);
}

}  // namespace

Handler::Handler(const WebOptions& options, service::Context& context, service::PublicFiles& files,
                 Readiness readiness, ProcessFacts process)
    : context_(context),
      files_(files),
      readiness_(std::move(readiness)),
      process_metrics_(context.metrics),
      api_(options, context),
      auth_(api_),
      router_(acme_routes(api_, auth_)),
      patterns_(router_.patterns()),
      refusals_(context),
      admin_(context, process, readiness_),
      operator_auth_(admin_, std::move(process.operators)),
      commands_(admin_routes(operator_auth_)),
      command_patterns_(commands_.patterns()),
      hosts_(std::make_shared<const Hosts>(options)),
      access_log_(options.access_log) {
  context.metrics
      .gauge("gatehouse_build_info", "1, with the version of the program.",
             {{"version", admin_.process.version}})
      .set(1);
  for (const ListenerRow& row : kListeners) {
    unrouted_.push_back(make_tally(row.name, row.unrouted));
  }
  for (const std::string& pattern : patterns_) {
    tallies_.push_back(make_tally(kAcmeListener, pattern));
  }
  for (int i = 0; i <= static_cast<int>(ProblemType::unspecified); ++i) {
    const auto type = static_cast<ProblemType>(i);
    problems_.emplace(type, context_.metrics.counter(
                                "gatehouse_problems_total", "Problems sent to clients, by type.",
                                {{"type", std::string(short_name(urn_of(type)))}}));
  }
}

Handler::Tally Handler::make_tally(std::string_view listener, std::string_view route) {
  const auto count = [&](const char* outcome) {
    return context_.metrics.counter(
        "gatehouse_http_requests_total", "Requests answered, by listener, route and outcome.",
        {{"listener", std::string(listener)}, {"route", std::string(route)}, {"outcome", outcome}});
  };
  return {.answered = count("answered"),
          .refused = count("refused"),
          .failed = count("failed"),
          .seconds = context_.metrics.histogram(
              "gatehouse_http_request_seconds", "Time from request to answer.", latency_buckets(),
              {{"listener", std::string(listener)}, {"route", std::string(route)}})};
}

void Handler::replace_hosts(const WebOptions& options) {
  auto next = std::make_shared<const Hosts>(options);
  hosts_.with([&](auto& hosts) { hosts = std::move(next); });
  access_log_ = options.access_log;
}

void Handler::handle(std::shared_ptr<const http::Request> request, http::Respond respond) {
  std::string client = client_of(*request);
  Exchange exchange{
      .request = std::move(request),
      .respond = std::move(respond),
      .began = std::chrono::steady_clock::now(),
      .trace = {.directory = api_.links.default_directory(), .client = std::move(client)}};
  Answer given = answer(*exchange.request, exchange.trace);
  if (given.ticket) {
    wait_and_send(std::make_shared<Exchange>(std::move(exchange)), std::move(given));
  } else {
    send(exchange, std::move(given.response));
  }
}

void Handler::wait_and_send(std::shared_ptr<Exchange> exchange, Answer answer) {
  const auto now = std::make_shared<http::Response>(std::move(answer.response));
  std::move(answer.ticket)
      .wait({.anew =
                 [this, exchange, now, anew = std::move(answer.anew)] {
                   try {
                     *now = anew();
                   } catch (const std::exception& failure) {
                     // What the client asked for has been done: it is told so all the same.
                     context_.log.error("answer.not_read_anew", {{"request", exchange->request->id},
                                                                 {"route", exchange->trace.pattern},
                                                                 {"error", failure.what()}});
                   }
                   send(*exchange, std::move(*now));
                 },
             .ready = [this, exchange, now] { send(*exchange, std::move(*now)); }});
}

// Completes a response with what is made on sending, counts and logs it, and sends it.
void Handler::send(Exchange& exchange, http::Response response) {
  const http::Request& request = *exchange.request;
  const Trace& trace = exchange.trace;
  if (request.listener == kAcmeListener) {
    add_acme_headers(request, trace.directory, trace.pattern != kDirectoryPattern, response);
  }
  add(response, "X-Content-Type-Options", "nosniff");

  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - exchange.began;
  const Tally& tally = tally_of(request, trace);
  tally.seconds.observe(taken.count());
  (response.status < 400   ? tally.answered
   : response.status < 500 ? tally.refused
                           : tally.failed)
      .add();
  if (is_logged(request, response.status)) log_request(request, trace, response.status, taken);
  if (trace.refusal) log_refusal(request, trace);
  exchange.respond(std::move(response));
  if (trace.refusal) keep_refusal(trace);
}

bool Handler::is_logged(const http::Request& request, int status) const {
  switch (access_log_.load()) {
    case AccessLog::off:
      return false;
    case AccessLog::errors:
      return status >= 400;
    case AccessLog::clients:
      return request.listener != kOperationsListener && request.listener != kControlListener;
    case AccessLog::all:
      return true;
  }
  return true;
}

void Handler::log_request(const http::Request& request, const Trace& trace, int status,
                          std::chrono::duration<double> taken) {
  context_.log.info("http.request",
                    {{"listener", request.listener},
                     {"method", sanitize(request.method, 16)},
                     {"target", sanitize(request.target, kMaxLoggedTarget)},
                     {"route", trace.pattern},
                     {"status", status},
                     {"problem", trace.refusal ? short_name_of(*trace.refusal) : ""},
                     {"milliseconds", std::round(taken.count() * 10'000) / 10},  // to a tenth
                     {"account", trace.signer ? trace.signer->str() : ""},
                     {"client", trace.client},
                     {"agent", agent_of(request)},
                     {"request", request.id}});
}

// One line with what an operator needs to explain it to whoever runs the client.
void Handler::log_refusal(const http::Request& request, const Trace& trace) {
  const Problem& problem = *trace.refusal;
  const std::string* const host = http::find_header(request.headers, "Host");
  const LogLevel level = status_of(problem) < 500 ? LogLevel::info : LogLevel::warning;
  context_.log.write(level, "request.refused",
                     {{"problem", short_name_of(problem)},
                      {"status", status_of(problem)},
                      {"detail", print_detail(problem)},
                      {"account", trace.signer ? trace.signer->str() : ""},
                      {"order", parameter_of(trace.parameters, "order")},
                      {"directory", trace.directory},
                      {"listener", request.listener},
                      {"host", host == nullptr ? "" : sanitize(*host, kMaxLoggedHost)},
                      {"route", trace.pattern},
                      {"client", trace.client},
                      {"agent", agent_of(request)},
                      {"request", request.id}});
}

// After the answer is on its way: the client does not wait for it.
void Handler::keep_refusal(const Trace& trace) {
  if (!trace.signer) return;
  refusals_.note({.account = *trace.signer,
                  .order = id_of<OrderId>(trace.parameters, "order"),
                  .authorization = id_of<AuthorizationId>(trace.parameters, "authorization"),
                  .challenge = id_of<ChallengeId>(trace.parameters, "challenge"),
                  .problem = *trace.refusal,
                  .route = std::string(trace.pattern),
                  .client = trace.client});
}

// A proxy's word counts where clients come through proxies, never for who commands.
std::string Handler::client_of(const http::Request& request) const {
  if (request.listener == kControlListener) {
    return request.peer.uid ? "uid:" + std::to_string(*request.peer.uid) : "nobody";
  }
  return hosts_.with([](const auto& hosts) { return hosts; })->client_of(request);
}

Answer Handler::answer(const http::Request& request, Trace& trace) {
  using Way = Answer (Handler::*)(const http::Request&, Trace&);
  // In the order of kListeners.
  constexpr std::array<Way, kListeners.size()> kWays = {
      &Handler::answer_acme, &Handler::answer_public, &Handler::answer_operations,
      &Handler::answer_control};
  const ListenerRow* const listener = find_listener(request.listener);
  try {
    if (listener == nullptr) {
      reject(
          {.type = ProblemType::unspecified, .detail = "Nothing is served here.", .status = 404});
    }
    return (this->*kWays.at(static_cast<std::size_t>(listener->kind)))(request, trace);
  } catch (...) {
    return problem(problem_in_flight(context_.log, context_.entropy, request), trace);
  }
}

// Somebody who looks for the directory at another port is told where it is.
void Handler::reject_if_acme(const http::Request& request) const {
  if (request.target != kDirectoryPattern && !api_.links.place_of(request.target)) return;
  reject({.type = ProblemType::unspecified,
          .detail = "ACME is not served at this port; its directory is " +
                    api_.links.directory(api_.links.default_directory()) + ".",
          .status = 404});
}

Answer Handler::answer_public(const http::Request& request, Trace& /*trace*/) {
  if (!files_.find(request.target)) reject_if_acme(request);
  return serve_public(files_, request, context_.clock.now());
}

Answer Handler::answer_operations(const http::Request& request, Trace& /*trace*/) {
  reject_if_acme(request);
  Stops stops;
  for (const service::Stop& stop : context_.stops.all()) stops.push_back(stop.why);
  if (request.target == kMetricsPage) process_metrics_.update();
  Warnings warnings = service::print_cut(
      service::chain_ends(context_.backends, *context_.policy.get(), context_.clock.now()));
  for (std::string& warning : admin_.process.warnings()) warnings.push_back(std::move(warning));
  return serve_operations(context_.metrics, readiness_, stops, warnings, request);
}

Answer Handler::answer_control(const http::Request& request, Trace& trace) {
  Router::Match match = commands_.match(request.method, request.target);
  if (match.route == Router::kNoRoute) {
    reject({.type = ProblemType::unspecified,
            .detail = "This server has no such command; is `gatehouse` of the same version?",
            .status = 404});
  }
  trace.pattern = command_patterns_[match.route];
  if (match.endpoint == nullptr) {
    reject({.type = ProblemType::unspecified,
            .detail = "Commands are given with POST.",
            .status = 405,
            .allow = commands_.allowed(match.route)});
  }
  return (*match.endpoint)({.request = request,
                            .directory = nullptr,
                            .client = trace.client,
                            .parameters = std::move(match.parameters)});
}

Answer Handler::answer_acme(const http::Request& request, Trace& trace) {
  const std::shared_ptr<const Hosts> hosts = hosts_.with([](const auto& h) { return h; });
  if (!hosts->answer_to(request)) {
    reject(
        {.type = ProblemType::malformed, .detail = hosts->why_misdirected(request), .status = 421});
  }
  const std::optional<Links::Place> place = api_.links.place_of(request.target);
  std::shared_ptr<const service::Directory> rules =
      place ? context_.policy.find(place->directory) : nullptr;
  if (rules != nullptr) {
    trace.directory = rules->name;
  }
  Router::Match match =
      rules != nullptr ? router_.match(request.method, place->path) : Router::Match{};
  if (match.route == Router::kNoRoute) {
    reject({.type = ProblemType::malformed,
            .detail = "There is no such resource; all others are named by the directory, " +
                      api_.links.directory(trace.directory) + ". Use its URLs as they are.",
            .status = 404});
  }
  trace.route = match.route;
  trace.pattern = patterns_[match.route];
  trace.parameters = match.parameters;
  if (request.method == "OPTIONS") {
    return preflight(match.route);
  }
  if (match.endpoint == nullptr) {
    // RFC 8555 section 6.3: "the server MUST return an error with status code 405 "Method Not
    // Allowed" and type "malformed"".
    reject({.type = ProblemType::malformed,
            .detail = "This resource does not take that method; most are read by POST-as-GET.",
            .status = 405,
            .allow = router_.allowed(match.route) + ", OPTIONS"});
  }
  return (*match.endpoint)({.request = request,
                            .directory = std::move(rules),
                            .client = trace.client,
                            .parameters = std::move(match.parameters),
                            .signer = &trace.signer});
}

// RFC 8555 section 6.1: a server that wants to be used from browsers supports CORS.
http::Response Handler::preflight(std::size_t route) const {
  http::Response response;
  response.status = 204;
  const std::string methods = router_.allowed(route);
  add(response, "Allow", methods + ", OPTIONS");
  add(response, "Access-Control-Allow-Methods", methods);
  add(response, "Access-Control-Allow-Headers", "Content-Type");
  add(response, "Access-Control-Max-Age", "86400");
  return response;
}

http::Response Handler::problem(const Problem& problem, Trace& trace) {
  trace.refusal = problem;
  problems_.at(problem.type).add();
  return problem_response(problem);
}

void Handler::add_acme_headers(const http::Request& request, const DirectoryId& directory,
                               bool index, http::Response& response) {
  if (request.method == "POST") {
    // Section 6.5: "a server MUST include a Replay-Nonce header field in every successful response
    // to a POST request and SHOULD provide it in error responses as well".
    add(response, "Replay-Nonce", api_.nonces.issue());
  }
  if (index) {
    add_link(response, api_.links.directory(directory), "index");  // section 7.1
  }
  if (request.method == "POST" || !has_header(response, "Cache-Control")) {
    std::erase_if(response.headers, [](const http::Header& header) {
      return equals_ignoring_case(header.name, "Cache-Control");
    });
    add(response, "Cache-Control", "no-store");
  }
  add(response, "Access-Control-Allow-Origin", "*");
  add(response, "Access-Control-Expose-Headers", "Link, Location, Replay-Nonce, Retry-After");
}

http::Response Handler::busy(const http::Request& request) {
  Trace trace{.directory = api_.links.default_directory(), .client = client_of(request)};
  http::Response response = problem({.type = ProblemType::serverInternal,
                                     .detail = "The server is busy. Try again in a few seconds.",
                                     .status = 503,
                                     .retry_after = kBusyRetry},
                                    trace);
  if (request.listener == kAcmeListener) {
    add_acme_headers(request, api_.links.default_directory(), true, response);
  }
  add(response, "X-Content-Type-Options", "nosniff");
  tally_of(request, trace).failed.add();
  log_refusal(request, trace);
  return response;
}

const Handler::Tally& Handler::tally_of(const http::Request& request, const Trace& trace) const {
  if (trace.route != Router::kNoRoute) return tallies_[trace.route];
  const ListenerRow* const listener = find_listener(request.listener);
  return unrouted_.at(listener == nullptr ? 0 : static_cast<std::size_t>(listener->kind));
}

}  // namespace gatehouse::web
