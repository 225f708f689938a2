// ScriptedValidator: says what a test tells it to say.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/core/problem.h"
#include "validators/validator.h"

namespace gatehouse::testing {

// Succeeds unless told otherwise. Safe to call from any thread.
class ScriptedValidator final : public validators::Validator {
 public:
  // What a try does instead of an answer: throw, block, look at the store.
  using Hook = std::function<void(const validators::ValidationRequest&)>;

  explicit ScriptedValidator(std::string type = "http-01") : type_(std::move(type)) {}

  std::string_view challenge_type() const override { return type_; }

  // As the real ones: http-01 proves no wildcard, dns-01 no address, tls-alpn-01 no wildcard.
  bool can_validate(const Identifier& identifier) const override {
    return type_ == "dns-01" ? identifier.type == IdentifierType::dns : !identifier.is_wildcard();
  }

  validators::ValidationOutcome validate(const validators::ValidationRequest& request,
                                         Deadline) override {
    const auto [hook, problem, answered] = state_.with([&](State& state) {
      ++state.calls;
      std::optional<Problem> answer = state.always;
      if (!state.next.empty()) {
        answer = std::move(state.next.front());
        state.next.pop_front();
      }
      return std::tuple(state.hook, std::move(answer), state.answered);
    });
    if (hook) {
      hook(request);
    }
    validators::ValidationOutcome outcome;
    outcome.problem = problem;
    outcome.answered = problem && answered;
    outcome.trail = {problem ? "scripted: failed" : "scripted: proven"};
    return outcome;
  }

  // The next tries, in this order, before always() counts: a problem, or nothing for success.
  void next(std::optional<Problem> answer) {
    state_.with([&](State& state) { state.next.push_back(std::move(answer)); });
  }

  void always(std::optional<Problem> answer) {
    state_.with([&](State& state) { state.always = std::move(answer); });
  }

  // Whether problems are told as what the target answered.
  void set_answered(bool answered) {
    state_.with([&](State& state) { state.answered = answered; });
  }

  // Runs inside each validate(); it may throw.
  void on_validate(Hook hook) {
    state_.with([&](State& state) { state.hook = std::move(hook); });
  }

  std::size_t calls() const {
    return state_.with([](const State& state) { return state.calls; });
  }

 private:
  struct State {
    std::deque<std::optional<Problem>> next;
    std::optional<Problem> always;
    Hook hook;
    bool answered = false;
    std::size_t calls = 0;
  };

  std::string type_;
  Guarded<State> state_;
};

}  // namespace gatehouse::testing
