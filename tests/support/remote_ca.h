// RemoteCa: a CA elsewhere that does what a test says, good or bad, whatever backend it is asked
// by. Every backend that asks a CA is put through the same table of tests with one of these.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/files.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/json.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/issue.h"
#include "ca-backends/exec/exec_backend.h"
#include "ca-backends/registry.h"
#include "tests/support/est_server.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/manual_clock.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_backend.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::testing {

// What a CA says to the next questions, until it is told otherwise.
enum class Says {
  issue,
  pend,
  refuse,
  not_sent,
  lose_answer,  // issues, and nobody learns of it
  // Certificates that are wrong:
  other_key,
  name_dropped,
  name_added,
  other_issuer,
  too_long,
  too_short,
  begins_tomorrow,
  extra_usage,
  missing_usage,
  given_before,  // to another order
};

class RemoteCa {
 public:
  virtual ~RemoteCa() = default;

  virtual void says(Says answer) = 0;
  // The backend that asks it, called "local". Once. A lost answer is asked for again with
  // `resumes`.
  virtual backends::Backend backend(Entropy& entropy, Clock& clock, Log& log, bool resumes) = 0;
  // How many certificates there are by the CA's own books.
  virtual std::size_t issued() const = 0;
  // How often it was told to issue, by submit.
  virtual std::size_t submitted() const = 0;

  // Whether it can revoke, and how many it has revoked.
  virtual bool revokes() const { return false; }

  virtual std::size_t revoked() const { return 0; }
};

class ScriptedRemoteCa final : public RemoteCa {
 public:
  void says(Says answer) override {
    using Step = ScriptedBackend::Step;
    const auto tampering = [&](ScriptedBackend::Tamper change) {
      ca_->always(Step::issue);
      ca_->tamper(std::move(change));
    };
    ca_->tamper({});
    switch (answer) {
      case Says::issue:
        return ca_->always(Step::issue);
      case Says::pend:
        return ca_->always(Step::pend);
      case Says::refuse:
        return ca_->always(Step::refuse);
      case Says::not_sent:
        return ca_->always(Step::not_sent);
      case Says::lose_answer:
        if (!resumes_) return ca_->always(Step::doubt);
        ca_->always(Step::issue);
        return ca_->lose_next_answer();
      case Says::other_key:
        return tampering([spki = other_key_->public_key()](auto& leaf) { leaf.spki = spki; });
      case Says::name_dropped:
        return tampering([](auto& leaf) { leaf.dns_names.pop_back(); });
      case Says::name_added:
        return tampering([](auto& leaf) { leaf.dns_names.emplace_back("evil.test"); });
      case Says::other_issuer:
        return tampering([](auto& leaf) { leaf.issuer_name_der.back() ^= 1U; });
      case Says::too_long:
        return tampering([](auto& leaf) { leaf.not_after += std::chrono::hours(24); });
      case Says::too_short:
        return tampering(
            [](auto& leaf) { leaf.not_after = leaf.not_before + std::chrono::hours(1); });
      case Says::begins_tomorrow:
        return tampering([](auto& leaf) {
          leaf.not_before += std::chrono::hours(24);
          leaf.not_after -= std::chrono::hours(24);
        });
      case Says::extra_usage:
        return tampering([](auto& leaf) { leaf.extended_key_usages.emplace_back("clientAuth"); });
      case Says::missing_usage:
        return tampering([](auto& leaf) { leaf.extended_key_usages = {"clientAuth"}; });
      case Says::given_before:
        return tampering([serial = last_serial()](auto& leaf) { leaf.serial = serial; });
    }
  }

  backends::Backend backend(Entropy& entropy, Clock&, Log&, bool resumes) override {
    resumes_ = resumes;
    auto made =
        std::make_unique<ScriptedBackend>(entropy, ScriptedBackend::Options{.repeatable = false});
    ca_ = made.get();
    ca_->decide_elsewhere();
    return {.name = "local", .certificates = std::move(made)};
  }

  std::size_t issued() const override { return ca_->signed_certificates(); }

  std::size_t submitted() const override {
    std::size_t count = 0;
    for (const auto& call : ca_->calls()) count += !call.resumed && call.sent ? 1U : 0U;
    return count;
  }

 private:
  Bytes last_serial() const { return ca_->template_of(ca_->calls().back().request).serial; }

  ScriptedBackend* ca_ = nullptr;
  bool resumes_ = false;
  std::unique_ptr<crypto::Signer> other_key_ =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
};

// The shipped example of a program, which has `openssl ca` issue, behind one that lies.
class ExecRemoteCa final : public RemoteCa {
 public:
  ExecRemoteCa() {
    for (const char* name : {"ca", "other"}) {
      REQUIRE(run("CA_DIR=" + path(name) + " " + example() + " init " + name) == 0);
    }
    says(Says::issue);
  }

  void says(Says answer) override { write("says", std::string(word_of(answer)) + "\n"); }

  backends::Backend backend(Entropy& entropy, Clock& clock, Log& log, bool resumes) override {
    Json options = {{"type", "exec"},
                    {"program", {source_directory() + "/tests/support/exec_liar.sh"}},
                    {"anchors", {path("ca/root.pem")}},
                    {"environment", {{"HOME_OF_CA", path("")}, {"EXAMPLE", example()}}},
                    {"resumes", resumes},
                    {"revokes", true},
                    {"checks", true},
                    {"timeout", "20s"}};
    options.update(more);
    return backends::make_backend(
        "local", JsonObject(options, "backends.local"),
        {.clock = clock,
         .entropy = entropy,
         .log = log,
         .public_url = "http://pki.test",
         .read_file = [](const std::string& file) { return read_file(file); },
         .read_key_file = [](const std::string& file) { return read_file(file); },
         .resolve_secret = [](const std::string& reference) { return Secret(reference); },
         .decorate_signer = [](auto signer) { return signer; }});
  }

  std::size_t issued() const override { return lines_of("ca/index.txt"); }

  std::size_t submitted() const override { return lines_of("submitted"); }

  bool revokes() const override { return true; }

  // `openssl ca` marks their lines with R.
  std::size_t revoked() const override {
    const std::string books = "\n" + read_file(path("ca/index.txt"));
    std::size_t count = 0;
    for (auto at = books.find("\nR"); at != std::string::npos; at = books.find("\nR", at + 1))
      ++count;
    return count;
  }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  void write(const std::string& name, const std::string& content) const {
    write_file(path(name), content, FileAccess::owner_only, ExistingFile::replace);
  }

  Json more = Json::object();  // options of the backend besides

  static std::string example() {
    return source_directory() + "/packaging/examples/exec-openssl-ca";
  }

 private:
  static std::string_view word_of(Says answer) {
    constexpr std::string_view kWords[] = {"issue",        "pend",          "refuse",
                                           "not_sent",     "lose_answer",   "other_key",
                                           "name_dropped", "name_added",    "other_issuer",
                                           "too_long",     "too_short",     "begins_tomorrow",
                                           "extra_usage",  "missing_usage", "given_before"};
    return kWords[static_cast<std::size_t>(answer)];
  }

  static int run(const std::string& command) {
    return std::system((command + " > /dev/null 2>&1").c_str());
  }

  std::size_t lines_of(const std::string& name) const {
    if (!std::filesystem::exists(path(name))) return 0;
    const std::string content = read_file(path(name));
    return static_cast<std::size_t>(std::ranges::count(content, '\n'));
  }

  TemporaryFolder folder_;
};

// A CA that speaks EST, in this process: it signs what its CSRs say, or lies.
class EstRemoteCa final : public RemoteCa {
 public:
  EstRemoteCa() : server_([this](const http::Request& request) { return answer(request); }) {}

  void says(Says answer) override {
    books_.with([&](Books& books) { books.says = answer; });
  }

  backends::Backend backend(Entropy& entropy, Clock& clock, Log& log, bool /*resumes*/) override {
    auto& manual = dynamic_cast<ManualClock&>(clock);
    books_.with([&](Books& books) {
      books.ca = std::make_unique<LocalCaFiles>(manual);
      books.other = std::make_unique<LocalCaFiles>(manual);
      books.ca->files["tls.pem"] = EstServer::tls_ca().certificate_pem;
    });
    const Json options = {
        {"type", "est"},     {"url", server_.url()},        {"tls", {{"ca", {"tls.pem"}}}},
        {"user", "gateway"}, {"password", "file:password"}, {"anchors", {"root.pem"}}};
    backends::BackendContext context =
        books_.with([](Books& books) { return books.ca->context(); });
    return backends::make_backend("local", JsonObject(options, "backends.local"),
                                  {.clock = clock,
                                   .entropy = entropy,
                                   .log = log,
                                   .public_url = context.public_url,
                                   .read_file = context.read_file,
                                   .read_key_file = context.read_key_file,
                                   .resolve_secret = context.resolve_secret,
                                   .decorate_signer = context.decorate_signer});
  }

  std::size_t issued() const override {
    return books_.with([](const Books& books) { return books.issued; });
  }

  std::size_t submitted() const override {
    return books_.with([](const Books& books) { return books.submitted; });
  }

 private:
  struct Books {
    Says says = Says::issue;
    std::unique_ptr<LocalCaFiles> ca, other;
    std::set<std::string> pending;  // bodies of requests: a repeat is the same request
    std::size_t issued = 0, submitted = 0;
    Bytes last;
  };

  http::Response answer(const http::Request& request) {
    return books_.with([&](Books& books) {
      if (request.target == "/.well-known/est/cacerts") {
        return est_answer(200, base64_encode(certs_only({books.ca->issuer.certificate.der,
                                                         books.ca->root.certificate.der})));
      }
      if (request.target != "/.well-known/est/simpleenroll") return est_answer(404, "");
      return enrol(books, request.body);
    });
  }

  static http::Response enrol(Books& books, const std::string& body) {
    if (books.says == Says::not_sent) return est_answer(503, "down for an hour");
    if (books.pending.erase(body) == 0) ++books.submitted;
    if (books.says == Says::pend) {
      books.pending.insert(body);
      return est_answer(202, "");
    }
    if (books.says == Says::refuse) return est_answer(403, "not in our zone; policy 17 says no");
    const auto csr = crypto::parse_csr(base64_decode(body).value()).value();
    if (books.says != Says::given_before) books.last = certificate_for(books, csr);
    ++books.issued;
    if (books.says == Says::lose_answer) return est_answer(504, "");
    return est_answer(200, base64_encode(certs_only({books.last})));
  }

  static Bytes certificate_for(Books& books, const crypto::Csr& csr) {
    constexpr std::chrono::hours kDayLong{24};
    LocalCaFiles& ca = books.says == Says::other_issuer ? *books.other : *books.ca;
    const Instant now = books.ca->clock.now();
    crypto::CertificateTemplate leaf;
    leaf.serial = crypto::random_serial(books.ca->entropy);
    leaf.issuer_name_der = ca.issuer.certificate.subject_name_der;
    leaf.authority_key_id = ca.issuer.certificate.subject_key_id;
    leaf.not_before = now - std::chrono::minutes(1);
    leaf.not_after = leaf.not_before + Profile().validity - std::chrono::seconds(1);
    leaf.spki = csr.spki;
    leaf.dns_names = csr.dns_names;
    leaf.key_usages = {"digitalSignature"};
    leaf.extended_key_usages = {"serverAuth"};
    if (books.says == Says::other_key) leaf.spki = ca.root.key->public_key();
    if (books.says == Says::name_dropped) leaf.dns_names.pop_back();
    if (books.says == Says::name_added) leaf.dns_names.emplace_back("evil.test");
    if (books.says == Says::too_long) leaf.not_after += kDayLong;
    if (books.says == Says::too_short) leaf.not_after = now + std::chrono::minutes(11);
    if (books.says == Says::begins_tomorrow) leaf.not_before = now + kDayLong;
    if (books.says == Says::extra_usage) leaf.extended_key_usages.emplace_back("clientAuth");
    if (books.says == Says::missing_usage) leaf.extended_key_usages = {"clientAuth"};
    return crypto::sign_certificate(crypto::make_tbs(leaf, ca.issuer.key->algorithm()),
                                    *ca.issuer.key);
  }

  mutable Guarded<Books> books_;
  EstServer server_;  // ends first: it answers from the books
};

}  // namespace gatehouse::testing
