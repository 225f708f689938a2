// FakeResolver: a zone that a test fills.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::testing {

// A name that is not in the zone does not exist. Safe to call from many threads.
class FakeResolver final : public net::Resolver {
 public:
  using Answer = Expected<net::DnsAnswer, net::DnsError>;
  using Script = std::function<Answer(net::RecordType)>;

  // An A or AAAA record, by what `address` is.
  void add_address(const std::string& name, std::string_view address) {
    const IpAddress parsed = IpAddress::parse(address).value();
    change(name, parsed.v6 ? net::RecordType::AAAA : net::RecordType::A,
           [&](net::DnsAnswer& answer) { answer.addresses.push_back(parsed); });
  }

  void add_text(const std::string& name, std::string text) {
    change(name, net::RecordType::TXT,
           [&](net::DnsAnswer& answer) { answer.texts.push_back(std::move(text)); });
  }

  void add_caa(const std::string& name, net::CaaRecord record) {
    change(name, net::RecordType::CAA,
           [&](net::DnsAnswer& answer) { answer.caa.push_back(std::move(record)); });
  }

  void add_alias(const std::string& name, const std::string& target) {
    state_.with([&](State& state) { state.aliases[name] = target; });
  }

  void fail(const std::string& name, net::RecordType type, net::DnsError::Kind kind) {
    state_.with([&](State& state) { state.failures[{name, type}] = kind; });
  }

  // Answers all questions about `name` from now on.
  void script(const std::string& name, Script script) {
    state_.with([&](State& state) { state.scripts[name] = std::move(script); });
  }

  void clear() {
    state_.with([](State& state) { state = {}; });
  }

  // What was asked so far: "a.test A".
  std::vector<std::string> questions() const {
    return state_.with([](const State& state) { return state.questions; });
  }

  Answer query(const std::string& name, net::RecordType type, Deadline) override {
    return state_.with([&](State& state) -> Answer {
      state.questions.push_back(name + " " + std::string(net::to_string(type)));
      net::DnsAnswer answer;
      std::string at = name;
      while (state.aliases.contains(at) && answer.aliases.size() < 16) {
        at = state.aliases[at];
        answer.aliases.push_back(at);
      }
      if (const auto script = state.scripts.find(at); script != state.scripts.end())
        return script->second(type);
      if (const auto failure = state.failures.find({at, type}); failure != state.failures.end()) {
        return error(failure->second, "the resolver failed for " + at, answer.aliases);
      }
      const auto entry = state.zone.find(at);
      if (entry == state.zone.end())
        return error(net::DnsError::Kind::nxdomain, at + " does not exist in DNS", answer.aliases);
      const auto records = entry->second.find(type);
      if (records == entry->second.end()) {
        return error(net::DnsError::Kind::no_data,
                     at + " has no " + std::string(net::to_string(type)) + " records",
                     answer.aliases);
      }
      net::DnsAnswer found = records->second;
      found.aliases = answer.aliases;
      return found;
    });
  }

  static Unexpected<net::DnsError> error(net::DnsError::Kind kind, std::string detail,
                                         std::vector<std::string> aliases = {}) {
    return {{.kind = kind, .detail = std::move(detail), .aliases = std::move(aliases)}};
  }

 private:
  struct State {
    std::map<std::string, std::map<net::RecordType, net::DnsAnswer>> zone;
    std::map<std::string, std::string> aliases;
    std::map<std::pair<std::string, net::RecordType>, net::DnsError::Kind> failures;
    std::map<std::string, Script> scripts;
    std::vector<std::string> questions;
  };

  template <class Change>
  void change(const std::string& name, net::RecordType type, Change&& change) {
    state_.with([&](State& state) { change(state.zone[name][type]); });
  }

  Guarded<State> state_;
};

}  // namespace gatehouse::testing
