#include "ca-backends/est/est_backend.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/net/http_response.h"
#include "ca-backends/backend.h"
#include "ca-backends/est/csr_attributes.h"
#include "ca-backends/est/est_message.h"
#include "ca-backends/est/est_options.h"
#include "ca-backends/https/https_client.h"
#include "ca-backends/https/https_credentials.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/remote_expectation.h"
#include "ca-backends/remote/remote_issuers.h"
#include "ca-backends/remote/remote_outcomes.h"

namespace gatehouse::backends {
namespace {

constexpr std::size_t kMaxEstWords = 2000;      // characters of an answer, for operators
constexpr std::size_t kMaxEstReason = 500;      // for clients
constexpr std::size_t kMaxCaCertificates = 32;  // of /cacerts that are looked at

// The words of an answer on one line.
std::string words_of(const net::HttpResponse& answer, std::size_t limit) {
  std::string line(trim(answer.body));
  std::erase(line, '\r');
  std::ranges::replace(line, '\n', ' ');
  return sanitize(line, limit);
}

std::string status_and_words(const net::HttpResponse& answer) {
  const std::string words = words_of(answer, kMaxEstWords);
  return "HTTP " + std::to_string(answer.status) + (words.empty() ? "" : ": " + words);
}

std::string header_words(const net::HttpResponse& answer, std::string_view name) {
  constexpr std::size_t kMaxShown = 200;
  return sanitize(answer.header(name).value_or(""), kMaxShown);
}

// No redirect is followed, and a CA that sends one has not looked at the request.
bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 307 || status == 308;
}

class EstBackend final : public CertificateBackend, public Revoker, public Probe {
 public:
  EstBackend(std::string name, const EstOptions& options, const BackendContext& context)
      : name_(std::move(name)),
        options_(options),
        context_(context),
        issuers_(name_, options.remote, context),
        client_(name_, options.https, context) {}

  Intent prepare(const IssueRequest& request) override {
    return {.request = print_json(
                {{"order", request.order.str()}, {"csr", base64url_encode(request.csr_der)}}),
            .poll = "",
            .expected = remote_expectation(request, options_.remote)};
  }

  // EST has no place for them.
  bool takes_dates() const override { return false; }

  bool repeatable() const override { return false; }

  IssueOutcome submit(const Intent& intent, Deadline deadline) override {
    return enrol(intent, deadline);
  }

  // EST has no handle for a request: the CA knows it again by its octets alone. RFC 7030 section
  // 4.2.3: after a 202 "the client MUST wait at least the specified 'retry-after' time before
  // repeating the same request". So a repeat asks about a request that is pending; without a 202
  // before it, it would be a second request, and a CA could issue twice.
  IssueOutcome resume(const Intent& intent, Deadline deadline) override {
    if (read_poll(intent.poll)) return enrol(intent, deadline);
    return answer_lost(name_,
                       "the server ended while the request was under way, or its answer "
                       "was not stored");
  }

  Expected<Issued, std::string> read_certificate(std::string_view file,
                                                 const Intent& intent) override {
    return issuers_.read_answer(file, intent.expected.spki_sha256);
  }

  std::optional<std::string> why_not_ready() override;

  IssuersSnapshot issuers() const override { return issuers_.snapshot(); }

  RevokeOutcome revoke(const RevokeRequest& request, Deadline deadline) override;
  Expected<std::string, std::string> probe(Deadline deadline) override;

 private:
  // GET of an operation.
  HttpsOutcome get(const std::string& operation, Deadline deadline) {
    return client_.send({.url = options_.base + operation, .body = std::nullopt, .headers = {}},
                        deadline);
  }

  // The CA's certificates as PEM, as far as they can be read; or why it cannot be asked now.
  Expected<std::string, NotSent> greet(Deadline deadline);
  IssueOutcome enrol(const Intent& intent, Deadline deadline);
  IssueOutcome decide(const net::HttpResponse& answer, const std::string& ca_pem,
                      const Intent& intent) const;
  IssueOutcome read_issued(const net::HttpResponse& answer, const std::string& ca_pem,
                           const Intent& intent) const;
  std::optional<NotSent> why_not_taken(const net::HttpResponse& answer) const;
  void log_answer(const std::string& order, const net::HttpResponse& answer) const;

  std::string credentials() const;
  std::string refused_credentials(const net::HttpResponse& answer) const;
  Expected<std::string, std::string> probe_cacerts(const net::HttpResponse& answer) const;
  std::string probe_csrattrs(const HttpsOutcome& outcome) const;

  const std::string name_;
  const EstOptions options_;
  const BackendContext context_;
  RemoteIssuers issuers_;
  HttpsClient client_;
};

std::optional<std::string> EstBackend::why_not_ready() {
  try {
    read_https_credentials(options_.https, context_);
  } catch (const std::exception& failure) {
    return failure.what();
  }
  return std::nullopt;
}

// Who we are to the CA, for operators.
std::string EstBackend::credentials() const {
  std::vector<std::string> all;
  if (!options_.https.user.empty()) {
    all.push_back("user \"" + sanitize(options_.https.user, kMaxEstReason) + "\" (backends." +
                  name_ + ".user)");
  }
  if (!options_.https.certificate.empty()) {
    all.push_back("the certificate " + options_.https.certificate + " (backends." + name_ +
                  ".tls.certificate)");
  }
  return all.empty() ? "no credential (backends." + name_ + ".user or .tls.certificate)"
                     : join(all, " and ");
}

std::string EstBackend::refused_credentials(const net::HttpResponse& answer) const {
  const std::string wanted = header_words(answer, "www-authenticate");
  return "the CA refuses " + credentials() + "; " + status_and_words(answer) +
         (wanted.empty() ? "" : "; it wants " + wanted);
}

// Why the CA has certainly not taken a request; nothing when the answer decides about it.
std::optional<NotSent> EstBackend::why_not_taken(const net::HttpResponse& answer) const {
  const auto later = retry_after_of(answer, context_.clock.now());
  if (answer.status == 401) return NotSent{refused_credentials(answer), later};
  if (answer.status == 429 || answer.status == 503) {
    return NotSent{"the CA takes no requests now: " + status_and_words(answer), later};
  }
  if (is_redirect(answer.status)) {
    return NotSent{"the CA redirects to " + header_words(answer, "location") + " with HTTP " +
                       std::to_string(answer.status) +
                       ", which is not followed; put the right URL into backends." + name_ +
                       ".url or .label",
                   later};
  }
  return std::nullopt;
}

void EstBackend::log_answer(const std::string& order, const net::HttpResponse& answer) const {
  if (answer.status == 200) return;
  context_.log.info("est.answered", {{"backend", name_},
                                     {"order", order},
                                     {"status", std::to_string(answer.status)},
                                     {"text", words_of(answer, kMaxEstWords)}});
}

// Asks for /cacerts before each enrolment, for two reasons. The answer to an enrolment has the leaf
// alone (RFC 7030 section 4.2.3), and its chain may have changed. And in TLS 1.3 a server that
// refuses our certificate, or that is not what it should be, is found out only after the first
// request is written: better when nothing hangs on it.
Expected<std::string, NotSent> EstBackend::greet(Deadline deadline) {
  const HttpsOutcome outcome = get("/cacerts", deadline);
  if (const auto* not_sent = std::get_if<HttpsNotSent>(&outcome)) {
    return Unexpected{NotSent{not_sent->why, not_sent->retry_after}};
  }
  if (const auto* lost = std::get_if<HttpsLost>(&outcome)) {
    return Unexpected{NotSent{lost->why + "; nothing was requested yet", std::nullopt}};
  }
  const auto& answer = std::get<net::HttpResponse>(outcome);
  if (auto why = why_not_taken(answer)) return Unexpected{std::move(*why)};
  const auto pem = answer.status == 200 ? est_certificates(answer.body)
                                        : Expected<std::string, std::string>(std::string());
  return pem ? *pem : std::string();
}

IssueOutcome EstBackend::enrol(const Intent& intent, Deadline deadline) {
  const Json json = parse_json(intent.request);
  const JsonObject request(json, "request");
  const auto csr = base64url_decode(request.string("csr"));
  if (!csr) throw std::runtime_error("the stored request's CSR is not base64url");
  const auto ca_pem = greet(deadline);
  if (!ca_pem) return ca_pem.error();
  // RFC 8951 section 3 has receivers pass over Content-Transfer-Encoding; older ones refuse a
  // request without it.
  const HttpsOutcome outcome = client_.send(
      {.url = options_.base + "/simpleenroll",
       .body = est_request_body(*csr),
       .headers = {"Content-Type: application/pkcs10", "Content-Transfer-Encoding: base64"}},
      deadline);
  if (const auto* not_sent = std::get_if<HttpsNotSent>(&outcome)) {
    return NotSent{not_sent->why, not_sent->retry_after};
  }
  if (const auto* lost = std::get_if<HttpsLost>(&outcome)) return answer_lost(name_, lost->why);
  const auto& answer = std::get<net::HttpResponse>(outcome);
  log_answer(request.optional_string("order").value_or(""), answer);
  return decide(answer, *ca_pem, intent);
}

IssueOutcome EstBackend::decide(const net::HttpResponse& answer, const std::string& ca_pem,
                                const Intent& intent) const {
  if (answer.status == 200) return read_issued(answer, ca_pem, intent);
  if (answer.status == 202) {
    return still_pending(name_, options_.remote,
                         {.poll = intent.poll,
                          .token = {},
                          .retry_after = retry_after_of(answer, context_.clock.now()),
                          .now = context_.clock.now()});
  }
  if (auto why = why_not_taken(answer)) return std::move(*why);
  // 408: what the server has read by then is anybody's guess. 501: it knows no such operation.
  const bool refused =
      (answer.status >= 400 && answer.status < 500 && answer.status != 408) || answer.status == 501;
  if (refused) {
    return refused_by_ca(options_.remote, words_of(answer, kMaxEstReason),
                         status_and_words(answer));
  }
  if (answer.status == 204) {
    return answer_lost(name_, "it answered with HTTP 204, which has no certificate in it");
  }
  return answer_lost(name_, "it answered with " + status_and_words(answer));
}

IssueOutcome EstBackend::read_issued(const net::HttpResponse& answer, const std::string& ca_pem,
                                     const Intent& intent) const {
  const auto unusable = [&](const std::string& why) -> IssueOutcome {
    return answer_lost(name_, "it answered with HTTP 200 and " +
                                  header_words(answer, "content-type") +
                                  ", which cannot be used: " + why);
  };
  const auto leaf = est_certificates(answer.body);
  if (!leaf) return unusable(leaf.error());
  auto issued = issuers_.read_answer(*leaf + ca_pem, intent.expected.spki_sha256);
  if (!issued) return unusable(issued.error());
  return std::move(*issued);
}

RevokeOutcome EstBackend::revoke(const RevokeRequest& request, Deadline /*deadline*/) {
  return {.done = false,
          .why_not = "EST has no revocation; revoke serial " + request.serial +
                     " at the CA behind backend " + name_ +
                     " itself, which publishes its CRLs or OCSP answers"};
}

Expected<std::string, std::string> EstBackend::probe_cacerts(
    const net::HttpResponse& answer) const {
  if (auto why = why_not_taken(answer)) return Unexpected{why->why};
  if (answer.status != 200) {
    return Unexpected{options_.base + "/cacerts answers with " + status_and_words(answer) +
                      "; is backends." + name_ + ".url or .label another one?"};
  }
  const auto pem = est_certificates(answer.body);
  if (!pem) return Unexpected{options_.base + "/cacerts cannot be used: " + pem.error()};
  const auto all = crypto::parse_pem_chain(*pem);
  if (!all) return Unexpected{options_.base + "/cacerts cannot be used: " + all.error()};
  std::string text = options_.base + " has these CA certificates:\n";
  bool any = false;
  for (const crypto::Certificate& each :
       std::span(*all).first(std::min(all->size(), kMaxCaCertificates))) {
    const bool leads = each.is_ca && issuers_.leads_to_anchor(each, *all);
    any = any || leads;
    text += "  " + sanitize(each.subject_name, kMaxEstReason) + ", until " +
            to_rfc3339(each.not_after) + (leads ? "" : ", which leads to no anchor of the config") +
            "\n";
  }
  if (!any) {
    return Unexpected{
        "what it issues would be refused: no CA certificate of it leads to one of "
        "backends." +
        name_ +
        ".anchors; name its root there, once you have it from "
        "the CA's operators. " +
        text};
  }
  return text;
}

std::string EstBackend::probe_csrattrs(const HttpsOutcome& outcome) const {
  const auto* answer = std::get_if<net::HttpResponse>(&outcome);
  // RFC 7030 section 4.5.2: 204 or 404 when there is nothing to be said.
  if (answer == nullptr || answer->status != 200) return "It asks for nothing special in requests.";
  const auto der = decode_est_body(answer->body);
  const auto asked = der ? describe_csr_attributes(*der)
                         : Expected<std::vector<std::string>, std::string>(
                               Unexpected{std::string("it is neither base64 nor PEM nor DER")});
  if (!asked)
    return "What it asks for in requests (/csrattrs) cannot be read: " + asked.error() + ".";
  if (asked->empty()) return "It asks for nothing special in requests.";
  return "It asks for these in requests: " + join(*asked, "; ") +
         ". Requests are signed by ACME clients, and nothing can be added to them here: the CA "
         "must "
         "do without, or clients must be told to put it in.";
}

Expected<std::string, std::string> EstBackend::probe(Deadline deadline) {
  const HttpsOutcome outcome = get("/cacerts", deadline);
  if (const auto* not_sent = std::get_if<HttpsNotSent>(&outcome)) {
    return Unexpected{not_sent->why};
  }
  if (const auto* lost = std::get_if<HttpsLost>(&outcome)) return Unexpected{lost->why};
  auto text = probe_cacerts(std::get<net::HttpResponse>(outcome));
  if (!text) return Unexpected{text.error()};
  std::string said = *text + probe_csrattrs(get("/csrattrs", deadline)) + "\n";
  if (!options_.https.certificate.empty()) {
    const auto ours = read_https_credentials(options_.https, context_).ours;
    if (ours) {
      said += options_.https.certificate + " is valid until " + to_rfc3339(ours->not_after) + ".\n";
    }
  }
  return said + "It is shown " + credentials() +
         "; only an enrolment can tell whether it takes that (--enrol NAME).";
}

}  // namespace

Backend make_est(const std::string& name, const JsonObject& options,
                 const BackendContext& context) {
  auto made = std::make_unique<EstBackend>(name, read_est_options(options), context);
  EstBackend* const powers = made.get();
  return {.name = name, .certificates = std::move(made), .revoker = powers, .probe = powers};
}

std::vector<CrlShard> crls_of_est(const JsonObject& options, const BackendContext& /*context*/) {
  read_est_options(options);
  return {};
}

}  // namespace gatehouse::backends
