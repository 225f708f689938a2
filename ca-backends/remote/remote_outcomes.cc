#include "ca-backends/remote/remote_outcomes.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/problem.h"
#include "ca-backends/backend.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {
namespace {

constexpr std::chrono::seconds kShortestPoll{30};
constexpr std::chrono::seconds kLongestPoll{3600};
constexpr int kShareOfTimePending = 10;
constexpr std::size_t kMaxPollToken = 4096;
constexpr std::int64_t kLastPollTime = std::numeric_limits<std::int32_t>::max() * 4LL;

}  // namespace

std::optional<PollState> read_poll(const std::string& poll) {
  if (poll.empty()) return std::nullopt;
  const Json json = parse_json(poll);
  const JsonObject object(json, "poll");
  return PollState{
      .token = object.string("token", kMaxPollToken),
      .since = from_unix(object.optional_integer("since", 0, kLastPollTime).value_or(0))};
}

IssueOutcome still_pending(const std::string& backend, const RemoteCaOptions& options,
                           const PendingAnswer& answer) {
  PollState state = read_poll(answer.poll).value_or(PollState{.token = {}, .since = answer.now});
  if (!answer.token.empty()) state.token = answer.token;
  const auto waited = std::chrono::duration_cast<std::chrono::seconds>(answer.now - state.since);
  if (waited >= options.pending_limit) {
    return InDoubt{"The CA behind backend " + backend + " has not decided since " +
                   to_rfc3339(state.since) +
                   ". Have it decide; then: gatehouse order resume ORDER"};
  }
  return Pending{.poll = print_json({{"token", state.token}, {"since", to_unix(state.since)}}),
                 .ask_again_after = answer.retry_after.value_or(
                     std::clamp(waited / kShareOfTimePending, kShortestPoll, kLongestPoll))};
}

Refused refused_by_ca(const RemoteCaOptions& options, const std::string& reason,
                      const std::string& answer) {
  const bool told = options.forward_ca_errors && !reason.empty();
  return {.problem = {.type = ProblemType::unauthorized,
                      .detail = told ? "The CA refused the order: " + reason
                                     : "The CA refused the order. Ask the operator of this server "
                                       "why, with the order's URL.",
                      .status = 403},
          .answer = answer};
}

InDoubt answer_lost(const std::string& backend, const std::string& why) {
  return {"The CA behind backend " + backend + " may have issued: " + why +
          ". Look for the order's names or its key at the CA. If it has issued: gatehouse order "
          "adopt FILE ORDER; if it has not: gatehouse order fail ORDER"};
}

}  // namespace gatehouse::backends
