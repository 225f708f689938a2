#include "ca-backends/remote/remote_expectation.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"
#include "ca-backends/remote/remote_options.h"
#include "ca-backends/validity.h"

namespace gatehouse::backends {
namespace {

// As much as a profile may backdate itself.
constexpr std::chrono::hours kLongestBackdate{48};
// How far ahead of ours a CA's clock may be.
constexpr std::chrono::minutes kClockSlack{5};

// What CAs' templates add by themselves, and what says nothing about what a key may certify.
constexpr const char* kHarmlessKeyUsages[] = {"digitalSignature", "keyEncipherment",
                                              "keyAgreement"};

ExpectedUsages key_usages_of(const IssueRequest& request, const UsageOptions& options) {
  ExpectedUsages usages{.required = options.required.value_or(request.profile.key_usages),
                        .allowed = options.allowed};
  usages.allowed.insert(usages.allowed.end(), std::begin(kHarmlessKeyUsages),
                        std::end(kHarmlessKeyUsages));
  // keyEncipherment says something of RSA keys alone.
  const auto key = crypto::jwk_of_spki(request.spki);
  if (!key || key->type != crypto::KeyType::rsa) std::erase(usages.required, "keyEncipherment");
  return usages;
}

}  // namespace

CertificateExpectation remote_expectation(const IssueRequest& request,
                                          const RemoteCaOptions& options) {
  const Profile& profile = request.profile;
  const bool asked = request.not_before || request.not_after;
  if (asked && !options.client_dates) {
    reject(ProblemType::malformed,
           "The CA behind this server chooses the dates of its certificates; order without "
           "notBefore and notAfter.");
  }
  const Validity agreed = agreed_validity(profile,
                                          {.not_before = request.not_before,
                                           .not_after = request.not_after,
                                           .ordered = request.ordered.value_or(request.now)},
                                          request.now);
  CertificateExpectation expected{
      .spki_sha256 = crypto::spki_sha256_of(request.spki),
      .names = request.identifiers,
      .subject = std::nullopt,
      .key_usages = key_usages_of(request, options.key_usages),
      .extended_key_usages =
          ExpectedUsages{.required = options.extended_key_usages.required.value_or(
                             profile.extended_key_usages),
                         .allowed = options.extended_key_usages.allowed},
      .serial = CaChooses{},
      .not_before = CaChooses{},
      .not_after = CaChooses{},
      .longest_validity = profile.validity,
      .crl_url = CaChooses{},
      .issuer = CaChooses{}};
  // A CA that waits for a person dates the certificate by the day it decides.
  const Instant last_begin = request.now + options.pending_limit + kClockSlack;
  if (request.not_before) {
    expected.not_before = Exact<Instant>{agreed.not_before};
  } else {
    expected.not_before =
        Range<Instant>{.first = request.now - kLongestBackdate, .last = last_begin};
  }
  if (request.not_after) {
    expected.not_after = Exact<Instant>{agreed.not_after};
  } else {
    expected.not_after = Range<Instant>{
        .first = request.now + options.minimum_validity.value_or(minimum_validity_of(profile)),
        .last = last_begin + profile.validity};
  }
  return expected;
}

}  // namespace gatehouse::backends
