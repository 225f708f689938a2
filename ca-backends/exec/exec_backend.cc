#include "ca-backends/exec/exec_backend.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/match.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/revocation_reason.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/backend.h"
#include "ca-backends/exec/exec_options.h"
#include "ca-backends/exec/exec_program.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/remote_expectation.h"
#include "ca-backends/remote/remote_issuers.h"
#include "ca-backends/remote/remote_outcomes.h"

namespace gatehouse::backends {
namespace {

// What an intent's `request` says: the facts, by their names in the environment, and the CSR.
std::string print_request(const IssueRequest& request) {
  std::vector<std::string> dns;
  std::vector<std::string> ip;
  for (const Identifier& name : request.identifiers) {
    (name.type == IdentifierType::dns ? dns : ip).push_back(name.value);
  }
  const auto date = [](const std::optional<Instant>& at) { return at ? to_rfc3339(*at) : ""; };
  return print_json({{"csr", base64url_encode(request.csr_der)},
                     {"facts",
                      {{"ORDER", request.order.str()},
                       {"INTENT", request.issuance.str()},
                       {"ACCOUNT", request.account ? request.account->str() : ""},
                       {"PROFILE", request.profile.name},
                       {"DNS_NAMES", join(dns, " ")},
                       {"IP_ADDRESSES", join(ip, " ")},
                       {"NOT_BEFORE", date(request.not_before)},
                       {"NOT_AFTER", date(request.not_after)},
                       {"VALIDITY_SECONDS", std::to_string(request.profile.validity.count())}}}});
}

struct StoredRequest {
  Json facts;
  std::string csr_pem;
};

// PEM as RFC 7468 has it: 64 columns.
std::string csr_to_pem(ByteView der) {
  constexpr std::size_t kColumns = 64;
  const std::string base64 = base64_encode(der);
  std::string pem = "-----BEGIN CERTIFICATE REQUEST-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kColumns) {
    pem += base64.substr(at, kColumns) + "\n";
  }
  return pem + "-----END CERTIFICATE REQUEST-----\n";
}

StoredRequest read_request(const Intent& intent) {
  const Json json = parse_json(intent.request);
  const JsonObject object(json, "request");
  const auto csr = base64url_decode(object.string("csr"));
  if (!csr) throw std::runtime_error("the stored request's CSR is not base64url");
  return {.facts = object.object("facts").json(), .csr_pem = csr_to_pem(*csr)};
}

class ExecBackend final : public CertificateBackend, public Revoker, public Probe {
 public:
  ExecBackend(std::string name, const ExecOptions& options, const BackendContext& context)
      : name_(std::move(name)),
        options_(options),
        context_(context),
        issuers_(name_, options.remote, context),
        program_(name_, options, context) {}

  Intent prepare(const IssueRequest& request) override {
    return {.request = print_request(request),
            .poll = "",
            .expected = remote_expectation(request, options_.remote)};
  }

  bool takes_dates() const override { return options_.remote.client_dates; }

  bool repeatable() const override { return false; }

  IssueOutcome submit(const Intent& intent, Deadline deadline) override {
    return ask("submit", intent, deadline);
  }

  IssueOutcome resume(const Intent& intent, Deadline deadline) override {
    // A program that has said "pending" can be asked about it, whatever else it can do.
    if (options_.resumes || !intent.poll.empty()) return ask("resume", intent, deadline);
    return lost("the server ended while the program ran, or its answer was not stored");
  }

  Expected<Issued, std::string> read_certificate(std::string_view file,
                                                 const Intent& intent) override {
    return issuers_.read_answer(file, intent.expected.spki_sha256);
  }

  std::optional<std::string> why_not_ready() override { return program_.why_not_runnable(); }

  IssuersSnapshot issuers() const override { return issuers_.snapshot(); }

  RevokeOutcome revoke(const RevokeRequest& request, Deadline deadline) override;
  Expected<std::string, std::string> probe(Deadline deadline) override;

 private:
  IssueOutcome ask(const std::string& action, const Intent& intent, Deadline deadline);
  ExecReply run(const std::string& action, const Json& facts, std::string_view input,
                Deadline deadline, const std::string& token = "");

  IssueOutcome read(const ExecDone& done, const Intent& intent);
  IssueOutcome read(const ExecRefused& refused);
  IssueOutcome read(const ExecPending& pending, const Intent& intent);
  IssueOutcome lost(const std::string& why) const;

  const std::string name_;
  const ExecOptions options_;
  const BackendContext context_;
  RemoteIssuers issuers_;
  ExecProgram program_;
};

ExecReply ExecBackend::run(const std::string& action, const Json& facts, std::string_view input,
                           Deadline deadline, const std::string& token) {
  ExecProgram::Facts all = {{"ACTION", action}, {"BACKEND", name_}, {"TOKEN", token}};
  for (const auto& item : facts.items()) {
    all.emplace_back(item.key(), item.value().get<std::string>());
  }
  ExecReply reply = program_.run(all, input, deadline);
  const std::string said =
      std::visit(Match{[](const ExecNotSent& not_sent) { return not_sent.why; },
                       [](const ExecLost& answer) { return answer.why; },
                       [](const auto& other) { return other.said; }},
                 reply);
  if (!said.empty()) {
    context_.log.info("exec.said", {{"backend", name_},
                                    {"action", action},
                                    {"order", facts.value("ORDER", "")},
                                    {"text", said}});
  }
  return reply;
}

IssueOutcome ExecBackend::ask(const std::string& action, const Intent& intent, Deadline deadline) {
  const StoredRequest request = read_request(intent);
  const auto state = read_poll(intent.poll);
  const ExecReply reply =
      run(action, request.facts, request.csr_pem, deadline, state ? state->token : "");
  return std::visit(Match{[&](const ExecDone& done) { return read(done, intent); },
                          [&](const ExecRefused& refused) { return read(refused); },
                          [&](const ExecPending& pending) { return read(pending, intent); },
                          [](const ExecNotSent& not_sent) -> IssueOutcome {
                            return NotSent{.why = not_sent.why,
                                           .retry_after = not_sent.retry_after};
                          },
                          [&](const ExecLost& answer) -> IssueOutcome {
                            // A thrown failure is asked about again, by resume().
                            if (options_.resumes || state) throw std::runtime_error(answer.why);
                            return lost(answer.why);
                          }},
                    reply);
}

IssueOutcome ExecBackend::lost(const std::string& why) const {
  return answer_lost(name_, why);
}

IssueOutcome ExecBackend::read(const ExecDone& done, const Intent& intent) {
  auto issued = issuers_.read_answer(done.output, intent.expected.spki_sha256);
  if (issued) return std::move(*issued);
  return lost("the program ended with 0, and what it wrote cannot be used: " + issued.error() +
              (done.said.empty() ? "" : "; it said: " + done.said));
}

IssueOutcome ExecBackend::read(const ExecRefused& refused) {
  return refused_by_ca(
      options_.remote, refused.reason,
      refused.reason + (refused.reason.empty() || refused.said.empty() ? "" : "; ") + refused.said);
}

IssueOutcome ExecBackend::read(const ExecPending& pending, const Intent& intent) {
  return still_pending(name_, options_.remote,
                       {.poll = intent.poll,
                        .token = pending.token,
                        .retry_after = pending.retry_after,
                        .now = context_.clock.now()});
}

RevokeOutcome ExecBackend::revoke(const RevokeRequest& request, Deadline deadline) {
  if (!options_.revokes) {
    return {.done = false,
            .why_not = "backend " + name_ + " cannot revoke (backends." + name_ +
                       ".revokes); revoke serial " + request.serial + " at the CA itself"};
  }
  const Json facts = {
      {"SERIAL", request.serial},
      {"REASON", std::to_string(request.reason)},
      {"REASON_NAME", std::string(revocation_reason_name(request.reason).value_or("unspecified"))}};
  const ExecReply reply = run("revoke", facts, request.certificate_pem, deadline);
  return std::visit(
      Match{[](const ExecDone&) { return RevokeOutcome{.done = true, .why_not = {}}; },
            [](const ExecRefused& refused) {
              return RevokeOutcome{.done = false,
                                   .why_not = "the CA refused: " + refused.reason +
                                              (refused.said.empty() ? "" : "; " + refused.said)};
            },
            [](const ExecPending&) {
              return RevokeOutcome{.done = false, .why_not = "the CA has not decided yet"};
            },
            [](const auto& other) { return RevokeOutcome{.done = false, .why_not = other.why}; }},
      reply);
}

Expected<std::string, std::string> ExecBackend::probe(Deadline deadline) {
  if (!options_.checks) {
    if (auto why = program_.why_not_runnable()) return Unexpected{std::move(*why)};
    return "The program can be run. It was not: backends." + name_ + ".checks is not set.";
  }
  const ExecReply reply = run("check", Json::object(), "", deadline);
  return std::visit(
      Match{[](const ExecDone& done) -> Expected<std::string, std::string> {
              return sanitize(trim(done.output), ExecProgram::kMaxSaid);
            },
            [](const ExecRefused& refused) -> Expected<std::string, std::string> {
              return Unexpected{"the CA refused the check: " + refused.reason + refused.said};
            },
            [](const ExecPending&) -> Expected<std::string, std::string> {
              return Unexpected{
                  std::string("the program answered a check with 11, which means pending")};
            },
            [](const auto& other) -> Expected<std::string, std::string> {
              return Unexpected{other.why};
            }},
      reply);
}

}  // namespace

Backend make_exec(const std::string& name, const JsonObject& options,
                  const BackendContext& context) {
  auto made = std::make_unique<ExecBackend>(name, read_exec_options(options), context);
  ExecBackend* const powers = made.get();
  return {.name = name, .certificates = std::move(made), .revoker = powers, .probe = powers};
}

std::vector<CrlShard> crls_of_exec(const JsonObject& options, const BackendContext& /*context*/) {
  read_exec_options(options);
  return {};
}

}  // namespace gatehouse::backends
