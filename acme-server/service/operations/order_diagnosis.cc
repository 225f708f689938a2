#include "acme-server/service/operations/order_diagnosis.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {
namespace {

// "DNS has no TXT record … (dns)": what the client was told, and as what.
std::string print(const Problem& problem) {
  const std::string urn = urn_of(problem.type);
  std::string text = problem.detail + " (" + urn.substr(urn.rfind(':') + 1) + ")";
  for (const Subproblem& part : problem.subproblems) {
    text += "; " + (part.identifier ? part.identifier->value + ": " : "") + part.detail;
  }
  return text;
}

std::string tries(std::int64_t count) {
  return std::to_string(count) + (count == 1 ? " try" : " tries");
}

const store::JobState* validation_of(const OrderDiagnosis& diagnosis,
                                     const ChallengeId& challenge) {
  const auto found = std::ranges::find(diagnosis.validations, challenge,
                                       [](const auto& each) { return each.first; });
  return found == diagnosis.validations.end() ? nullptr : &found->second;
}

std::string why_processing(const OrderDiagnosis& diagnosis, const Authorization& authorization,
                           const Challenge& challenge) {
  std::string text = authorization.identifier.value + ": " + challenge.type + " is being proven, " +
                     tries(challenge.attempts) + " so far";
  const store::JobState* job = validation_of(diagnosis, challenge.id);
  if (job == nullptr) {
    text += "; no job is there to go on, which should not be: the client can only make a new order";
  } else if (job->parked) {
    text += "; its job is parked: " + job->note;
  } else if (job->leased) {
    text += "; one is running, until " + to_rfc3339(job->run_at) + " at the latest";
  } else {
    text += "; the next one at " + to_rfc3339(job->run_at);
  }
  if (challenge.error) text += "; the last one said: " + print(*challenge.error);
  if (job != nullptr && job->attempts > 0) text += "; the server failed: " + job->note;
  return text + ".";
}

std::string why_pending(const OrderDiagnosis& diagnosis, const Authorization& authorization) {
  std::vector<std::string> types;
  for (const Challenge& challenge : authorization.challenges) {
    if (challenge.status == ChallengeStatus::processing) {
      return why_processing(diagnosis, authorization, challenge);
    }
    types.push_back(challenge.type);
  }
  return authorization.identifier.value +
         ": waits for the client to say which challenge is ready (" + join(types, ", ") +
         "), until " + to_rfc3339(authorization.expires) + ".";
}

std::string why_lost(const Authorization& authorization, Instant now) {
  const AuthorizationStatus status = status_of(authorization, now);
  std::string text =
      authorization.identifier.value + ": its authorization is " + std::string(to_string(status));
  if (status == AuthorizationStatus::expired) {
    return text + " since " + to_rfc3339(authorization.expires) +
           "; the client did not finish in time.";
  }
  for (const Challenge& challenge : authorization.challenges) {
    if (challenge.status != ChallengeStatus::invalid || !challenge.error) continue;
    text += "; " + challenge.type + " failed after " + tries(challenge.attempts) + ": " +
            print(*challenge.error);
  }
  return text + ".";
}

std::vector<std::string> why_invalid(const OrderDiagnosis& diagnosis, Instant now) {
  std::vector<std::string> sentences;
  if (diagnosis.order.error) {
    sentences.push_back("It has failed: " + print(*diagnosis.order.error));
  }
  for (const store::AuditRow& row : diagnosis.events) {
    const Json& details = row.event.details;
    if (row.event.kind == "certificate.refused" && details.contains("answer")) {
      sentences.push_back("The CA said: " + details.at("answer").get<std::string>());
    } else if (row.event.kind == "certificate.wrong") {
      sentences.push_back(details.value("why", "") + " " + details.value("revocation", ""));
    }
  }
  for (const Authorization& authorization : diagnosis.authorizations) {
    if (!diagnosis.order.finalization && is_lost(authorization, now)) {
      sentences.push_back(why_lost(authorization, now));
    }
  }
  if (sentences.empty()) {
    sentences.push_back("It expired at " + to_rfc3339(diagnosis.order.expires) +
                        " before the client finalized it.");
  }
  return sentences;
}

std::vector<std::string> why_pending(const OrderDiagnosis& diagnosis, Instant now) {
  std::vector<std::string> sentences;
  for (const Authorization& authorization : diagnosis.authorizations) {
    if (!is_valid(authorization, now)) sentences.push_back(why_pending(diagnosis, authorization));
  }
  return sentences;
}

std::vector<std::string> why_processing(const OrderDiagnosis& diagnosis) {
  if (!diagnosis.issuing) {
    return {
        "It is finalized, and no job is there to have it issued, which should not be; look "
        "for its last event below."};
  }
  const store::JobState& job = *diagnosis.issuing;
  if (job.parked) {
    const std::string& id = diagnosis.order.id.str();
    const bool doubt =
        std::ranges::any_of(diagnosis.issuances, [](const store::Issuance& issuance) {
          return issuance.state == store::IssuanceState::in_doubt;
        });
    return {std::string(doubt ? "It is in doubt whether the CA has issued"
                              : "Its issuance has stopped") +
                ", and waits for an operator: " + job.note,
            doubt ? "Look at the CA. If it has issued: `gatehouse order adopt FILE " + id +
                        "`; if not: `gatehouse order fail " + id + "`; `gatehouse order resume " +
                        id + "` has it asked again about the same certificate."
                  : "Once that is settled, `gatehouse order resume " + id +
                        "` has the CA asked again about the same certificate."};
  }
  std::string text =
      job.leased ? "The CA is being asked, until " + to_rfc3339(job.run_at) + " at the latest"
                 : "The CA is asked at " + to_rfc3339(job.run_at);
  if (job.attempts > 0) {
    text += ", after " + tries(job.attempts) + " that failed; the last error was: " + job.note;
  } else if (!job.note.empty()) {
    text += "; the last time: " + job.note;
  }
  return {text + "."};
}

std::vector<std::string> why_valid(const OrderDiagnosis& diagnosis) {
  if (!diagnosis.certificate) return {"It has its certificate."};
  const CertificateRecord& certificate = *diagnosis.certificate;
  std::vector<std::string> sentences = {"Its certificate " + certificate.id.str() + " (serial " +
                                        certificate.serial + ") was issued at " +
                                        to_rfc3339(certificate.issued_at) + " and ends at " +
                                        to_rfc3339(certificate.not_after) + "."};
  if (certificate.revocation) {
    sentences.push_back("The certificate was revoked at " + to_rfc3339(certificate.revocation->at) +
                        " for reason " + std::to_string(certificate.revocation->reason) + ".");
  }
  return sentences;
}

std::vector<std::string> why_status(const OrderDiagnosis& diagnosis, Instant now) {
  switch (diagnosis.status) {
    case OrderStatus::pending:
      return why_pending(diagnosis, now);
    case OrderStatus::ready:
      return {"Every name is proven; it waits for the client to finalize it, until " +
              to_rfc3339(diagnosis.order.expires) + "."};
    case OrderStatus::processing:
      return why_processing(diagnosis);
    case OrderStatus::valid:
      return why_valid(diagnosis);
    case OrderStatus::invalid:
      return why_invalid(diagnosis, now);
  }
  ACME_CHECK(false);
}

std::string explain(const Stop& stop) {
  return "Issuance is stopped since " + to_rfc3339(stop.since) + " (" +
         std::string(to_string(stop.reason)) + ", by " + to_string(stop.by) + "): " + stop.why +
         (stop.why.ends_with('.') ? "" : ".") +
         " Nothing is signed until it ends: see `gatehouse resume-issuance --help`.";
}

// What its client was refused last: of each kind of problem the trail has the first alone.
std::optional<std::string> last_refusal(const OrderDiagnosis& diagnosis) {
  for (const store::AuditRow& row : std::views::reverse(diagnosis.events)) {
    if (row.event.kind != "request.refused" || !row.event.details.contains("problem")) continue;
    return "A request about it was refused at " + to_rfc3339(row.at) + ": " +
           print(problem_from_json(row.event.details["problem"])) + ".";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> explain(const OrderDiagnosis& diagnosis, Instant now) {
  std::vector<std::string> sentences = why_status(diagnosis, now);
  if (diagnosis.status == OrderStatus::valid) return sentences;
  if (diagnosis.status != OrderStatus::invalid) {
    // A finalized order waits for nothing else; one that is not has its own reasons first.
    const auto place =
        diagnosis.status == OrderStatus::processing ? sentences.begin() : sentences.end();
    std::vector<std::string> stops;
    for (const Stop& stop : diagnosis.stops) stops.push_back(explain(stop));
    sentences.insert(place, stops.begin(), stops.end());
  }
  if (auto refusal = last_refusal(diagnosis)) sentences.push_back(std::move(*refusal));
  return sentences;
}

}  // namespace gatehouse::service
