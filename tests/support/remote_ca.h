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
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "ca-backends/exec/exec_backend.h"
#include "ca-backends/registry.h"
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

}  // namespace gatehouse::testing
