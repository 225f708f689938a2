#include "acme-server/web/problem_json.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "acme-server/base/check.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/technical_detail.h"
#include "acme-server/base/text.h"
#include "acme-server/base/transient_error.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxReasonLength = 1000;  // of an exception, in a log line
constexpr std::chrono::seconds kComeBack{30};

std::string new_log_id(Entropy& entropy) {
  std::array<std::uint8_t, 8> octets{};
  entropy.fill(octets);
  return hex_encode(octets);
}

Problem internal(const std::string& log_id) {
  return {.type = ProblemType::serverInternal,
          .detail = "The server failed. Try again later; if it goes on, tell its operator log id " +
                    log_id + "."};
}

// Nothing of the request was done, and it will do later as it is.
Problem come_back(const std::string& log_id) {
  return {.type = ProblemType::serverInternal,
          .detail =
              "The server cannot store anything just now. Try again in half a minute; if it "
              "goes on, tell its operator log id " +
              log_id + ".",
          .status = 503,
          .retry_after = kComeBack};
}

}  // namespace

http::Response problem_response(const Problem& problem) {
  http::Response response =
      text_response(status_of(problem), "application/problem+json", print_json(to_json(problem)));
  add(response, "Content-Language", "en");
  if (problem.retry_after) {
    add_retry_after(response, *problem.retry_after);
  }
  if (!problem.location.empty()) {
    add(response, "Location", problem.location);
  }
  if (!problem.allow.empty()) {
    add(response, "Allow", problem.allow);
  }
  if (problem.type == ProblemType::userActionRequired && !problem.instance.empty()) {
    add_link(response, problem.instance, "terms-of-service");
  }
  return response;
}

Problem problem_in_flight(Log& log, Entropy& entropy, const http::Request& request) {
  try {
    throw;
  } catch (const RequestRejected& rejected) {
    return rejected.problem();
  } catch (const LogicError& bug) {
    const std::string log_id = new_log_id(entropy);
    log.error("request.bug", {{"log_id", log_id},
                              {"method", sanitize(request.method, 16)},
                              {"target", sanitize(request.target, 200)},
                              {"reason", sanitize(bug.what(), kMaxReasonLength)}});
    return internal(log_id);
  } catch (const std::exception& failure) {
    const std::string log_id = new_log_id(entropy);
    log.error("request.failed", {{"log_id", log_id},
                                 {"method", sanitize(request.method, 16)},
                                 {"target", sanitize(request.target, 200)},
                                 {"reason", sanitize(failure.what(), kMaxReasonLength)},
                                 {"at", sanitize(technical_detail_of(failure), kMaxReasonLength)}});
    return dynamic_cast<const TransientError*>(&failure) != nullptr ? come_back(log_id)
                                                                    : internal(log_id);
  }
}

std::string_view short_name(std::string_view urn) {
  const std::size_t colon = urn.rfind(':');
  return colon == std::string_view::npos ? urn : urn.substr(colon + 1);
}

}  // namespace gatehouse::web
