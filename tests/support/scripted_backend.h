// ScriptedBackend: a CA with a real key that issues, waits, refuses, doubts, fails or cheats as a
// test tells it.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/backend.h"

namespace gatehouse::testing {

// Root and intermediate are made at construction; leaves are signed by the intermediate. Issues
// unless told otherwise. Safe to call from any thread.
class ScriptedBackend final : public backends::CertificateBackend, public backends::CrlSigner {
 public:
  // `fail` throws before anything is signed.
  enum class Step { issue, pend, refuse, not_sent, doubt, fail };

  struct Call {
    bool resumed = false;
    bool sent = true;  // the CA has received it: all but not_sent
    std::string request, serial;
  };

  using Tamper = std::function<void(crypto::CertificateTemplate&)>;
  using Expect = std::function<void(backends::CertificateExpectation&)>;

  struct Options {
    bool repeatable = true;
    Instant root_not_before = from_unix(1'767'225'600);  // 2026-01-01
    Instant root_not_after = from_unix(2'082'758'400);   // 2036-01-01
    std::string crl_url = "http://pki.test/crl/scripted/0.crl";
  };

  explicit ScriptedBackend(Entropy& entropy) : ScriptedBackend(entropy, Options{}) {}

  ScriptedBackend(Entropy& entropy, Options options)
      : entropy_(entropy),
        options_(std::move(options)),
        root_key_(new_signer()),
        key_(new_signer()) {
    const crypto::Certificate root =
        make_ca("Scripted Root", *root_key_, Bytes{}, Bytes{}, *root_key_);
    const crypto::Certificate issuer = make_ca("Scripted CA", *key_, root.subject_name_der,
                                               crypto::subject_key_id_of(root.spki), *root_key_);
    issuer_ = {.id = IssuerId(crypto::spki_sha256_of(issuer.spki)),
               .certificate = issuer,
               .chain = {issuer},
               .root = root};
    set_issuers({issuer_});
  }

  // --- what a test says
  // -----------------------------------------------------------------------------------------

  // The next submit() or resume() calls, in this order, before always() counts.
  void next(Step step) {
    state_.with([&](State& state) { state.next.push_back(step); });
  }

  void always(Step step) {
    state_.with([&](State& state) { state.always = step; });
  }

  // What it knows of its issuers from now on: nothing, as before its CA was reached, or others.
  void set_issuers(std::vector<backends::Issuer> all) {
    auto made = std::make_shared<backends::Issuers>();
    for (const backends::Issuer& issuer : all) {
      if (issuer.id != issuer_.id) continue;
      made->shards.push_back(
          {.issuer = issuer.id, .url = options_.crl_url, .file = "/crl/scripted/0.crl"});
    }
    made->all = std::move(all);
    snapshot_.with([&](backends::IssuersSnapshot& held) { held = std::move(made); });
  }

  // Runs inside each prepare(), before anything else; it may throw, or reject().
  void on_prepare(std::function<void()> hook) {
    state_.with([&](State& state) { state.prepare_hook = std::move(hook); });
  }

  // Changes what the next certificates say against their intents; the signature is good.
  void tamper(Tamper change) {
    state_.with([&](State& state) { state.tamper = std::move(change); });
  }

  // Leaves open in the next intents what a CA elsewhere decides; else everything is exact.
  void expect(Expect change) {
    state_.with([&](State& state) { state.expect = std::move(change); });
  }

  // Leaves open in all intents from now on what a CA elsewhere decides.
  void decide_elsewhere() {
    expect([](backends::CertificateExpectation& expected) {
      const Instant begin = std::get<backends::Exact<Instant>>(expected.not_before).value;
      const Instant end = std::get<backends::Exact<Instant>>(expected.not_after).value;
      expected.serial = backends::CaChooses{};
      expected.not_before =
          backends::Range<Instant>{begin - std::chrono::hours(48), begin + std::chrono::hours(48)};
      expected.not_after =
          backends::Range<Instant>{begin + std::chrono::hours(2), end + std::chrono::hours(48)};
      expected.longest_validity = end - begin + std::chrono::seconds(1);
      expected.crl_url = backends::CaChooses{};
      expected.issuer = backends::CaChooses{};
    });
  }

  // Runs inside each submit() or resume(), before anything else; it may throw.
  void on_call(std::function<void(const Call&)> hook) {
    state_.with([&](State& state) { state.hook = std::move(hook); });
  }

  // What it says with not_sent from now on; nothing at first.
  void retry_after(std::optional<std::chrono::seconds> pause) {
    state_.with([&](State& state) { state.retry_after = pause; });
  }

  // After the next certificate is signed, its answer is lost: the call throws.
  void lose_next_answer() {
    state_.with([](State& state) { state.lose_answer = true; });
  }

  // --- what a test asks
  // -----------------------------------------------------------------------------------------

  std::vector<Call> calls() const {
    return state_.with([](const State& state) { return state.calls; });
  }

  std::size_t prepared() const {
    return state_.with([](const State& state) { return state.templates.size(); });
  }

  // How many intents were signed; signing one of them again does not count.
  std::size_t signed_certificates() const {
    return state_.with([](const State& state) { return state.signed_requests.size(); });
  }

  // Who signs, whether or not issuers() says so.
  const backends::Issuer& issuer() const { return issuer_; }

  const crypto::Certificate& root() const { return *issuer_.root; }

  std::string name() const { return "local"; }

  // A certificate as `certificate` says, signed by our issuer: leaf and intermediate in PEM.
  std::string chain_of(const crypto::CertificateTemplate& certificate) const {
    const Bytes tbs = crypto::make_tbs(certificate, key_->algorithm());
    return crypto::to_pem(crypto::sign_certificate(tbs, *key_)) +
           crypto::to_pem(issuer_.certificate.der);
  }

  // What the certificate of an intent will say.
  crypto::CertificateTemplate template_of(const std::string& request) const {
    return state_.with([&](const State& state) { return state.templates.at(request); });
  }

  // --- CertificateBackend
  // ---------------------------------------------------------------------------------------

  backends::Intent prepare(const backends::IssueRequest& request) override {
    if (const auto hook = state_.with([](const State& state) { return state.prepare_hook; })) {
      hook();
    }
    const crypto::CertificateTemplate certificate = make_template(request);
    const Bytes tbs = crypto::make_tbs(certificate, key_->algorithm());
    backends::Intent intent{.request = base64url_encode(tbs),
                            .poll = "",
                            .expected = expectation_of(certificate, request)};
    state_.with([&](State& state) { state.templates.emplace(intent.request, certificate); });
    return intent;
  }

  bool repeatable() const override { return options_.repeatable; }

  backends::IssueOutcome submit(const backends::Intent& intent, Deadline) override {
    return answer(intent, false);
  }

  backends::IssueOutcome resume(const backends::Intent& intent, Deadline) override {
    return answer(intent, true);
  }

  backends::IssuersSnapshot issuers() const override {
    return snapshot_.with([](const auto& snapshot) { return snapshot; });
  }

  // --- CrlSigner
  // ------------------------------------------------------------------------------------------------

  Bytes sign_crl(const backends::CrlShard& shard, std::int64_t number, Instant this_update,
                 Instant next_update, crypto::CrlBuilder entries) override {
    const crypto::Certificate& issuer = issuer_.certificate;
    return entries.finish({.issuer_name_der = issuer.subject_name_der,
                           .authority_key_id = issuer.subject_key_id,
                           .number = number,
                           .this_update = this_update,
                           .next_update = next_update,
                           .distribution_point = shard.url},
                          *key_);
  }

 private:
  struct State {
    std::deque<Step> next;
    Step always = Step::issue;
    std::function<void()> prepare_hook;
    Tamper tamper;
    Expect expect;
    std::function<void(const Call&)> hook;
    bool lose_answer = false;
    std::optional<std::chrono::seconds> retry_after;
    std::vector<Call> calls;
    std::map<std::string, crypto::CertificateTemplate> templates;  // by intent
    std::map<std::string, std::size_t> signed_requests;            // intent -> how often
  };

  static std::unique_ptr<crypto::Signer> new_signer() {
    return crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  }

  crypto::Certificate make_ca(const std::string& name, crypto::Signer& subject,
                              const Bytes& issuer_name, const Bytes& authority_key_id,
                              crypto::Signer& issuer) {
    crypto::CertificateTemplate ca;
    ca.serial = crypto::random_serial(entropy_);
    ca.issuer_name_der = issuer_name;
    ca.common_name = name;
    ca.not_before = options_.root_not_before;
    ca.not_after = options_.root_not_after;
    ca.spki = subject.public_key();
    ca.key_usages = {"keyCertSign", "cRLSign"};
    ca.is_ca = true;
    ca.authority_key_id = authority_key_id;
    return crypto::parse_certificate(
               crypto::sign_certificate(crypto::make_tbs(ca, issuer.algorithm()), issuer))
        .value();
  }

  crypto::CertificateTemplate make_template(const backends::IssueRequest& request) {
    crypto::CertificateTemplate leaf;
    leaf.serial = crypto::random_serial(entropy_);
    leaf.issuer_name_der = issuer_.certificate.subject_name_der;
    leaf.not_before = request.not_before.value_or(request.now - request.profile.backdate);
    // RFC 5280 section 4.1.2.5: both ends are inclusive.
    leaf.not_after = request.not_after.value_or(leaf.not_before + request.profile.validity -
                                                std::chrono::seconds(1));
    leaf.spki = request.spki;
    for (const Identifier& identifier : request.identifiers) {
      (identifier.type == IdentifierType::dns ? leaf.dns_names : leaf.ip_addresses)
          .push_back(identifier.value);
    }
    leaf.key_usages = request.profile.key_usages;
    leaf.extended_key_usages = request.profile.extended_key_usages;
    leaf.authority_key_id = issuer_.certificate.subject_key_id;
    leaf.crl_url = options_.crl_url;
    return leaf;
  }

  // Every fact exact, as for a CA that signs what it is handed.
  backends::CertificateExpectation expectation_of(const crypto::CertificateTemplate& leaf,
                                                  const backends::IssueRequest& request) const {
    backends::CertificateExpectation expected{
        .spki_sha256 = crypto::spki_sha256_of(leaf.spki),
        .names = request.identifiers,
        .subject = "",
        .key_usages = backends::ExpectedUsages{.required = leaf.key_usages, .allowed = {}},
        .extended_key_usages =
            backends::ExpectedUsages{.required = leaf.extended_key_usages, .allowed = {}},
        .serial = backends::Exact<std::string>{hex_encode(leaf.serial)},
        .not_before = backends::Exact<Instant>{leaf.not_before},
        .not_after = backends::Exact<Instant>{leaf.not_after},
        .crl_url = backends::Exact<std::string>{leaf.crl_url},
        .issuer = backends::Exact<IssuerId>{issuer_.id}};
    if (const auto expect = state_.with([](const State& state) { return state.expect; })) {
      expect(expected);
    }
    return expected;
  }

  backends::IssueOutcome answer(const backends::Intent& intent, bool resumed) {
    Call call{.resumed = resumed, .request = intent.request, .serial = serial_of(intent.expected)};
    const auto [step, hook] = state_.with([&](State& state) {
      Step now = state.always;
      if (!state.next.empty()) {
        now = state.next.front();
        state.next.pop_front();
      }
      call.sent = now != Step::not_sent;
      state.calls.push_back(call);
      return std::pair(now, state.hook);
    });
    if (hook) {
      hook(call);
    }
    switch (step) {
      case Step::issue:
        return issue(intent);
      case Step::pend: {
        return backends::Pending{.poll = intent.poll + "p",
                                 .ask_again_after = std::chrono::seconds(30)};
      }
      case Step::refuse:
        return backends::Refused{{.type = ProblemType::rejectedIdentifier,
                                  .detail = "The scripted CA refuses this order."}};
      case Step::not_sent:
        return backends::NotSent{
            .why = "connection refused",
            .retry_after = state_.with([](const State& state) { return state.retry_after; })};
      case Step::doubt:
        return backends::InDoubt{"Look for serial " + serial_of(intent.expected) +
                                 " at the scripted CA."};
      case Step::fail:
        throw std::runtime_error("the scripted CA is down");
    }
    throw std::logic_error("no such step");
  }

  backends::IssueOutcome issue(const backends::Intent& intent) {
    const auto [certificate, lost] = state_.with([&](State& state) {
      ++state.signed_requests[intent.request];
      crypto::CertificateTemplate leaf = state.templates.at(intent.request);
      if (state.tamper) {
        state.tamper(leaf);
      }
      return std::pair(leaf, std::exchange(state.lose_answer, false));
    });
    const std::string chain = chain_of(certificate);
    if (lost) {
      throw std::runtime_error("the scripted CA's answer was lost");
    }
    return backends::Issued{.chain_pem = chain, .alternate_chains_pem = {}};
  }

  Entropy& entropy_;
  Options options_;
  std::unique_ptr<crypto::Signer> root_key_, key_;
  backends::Issuer issuer_;
  Guarded<backends::IssuersSnapshot> snapshot_;
  Guarded<State> state_;
};

}  // namespace gatehouse::testing
