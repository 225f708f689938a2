#include "acme-server/core/profile.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <string>

namespace gatehouse {
namespace {

TEST_CASE("a profile's hash changes with everything a certificate says") {
  using namespace std::chrono_literals;
  const std::function<void(Profile&)> changes[] = {
      [](Profile&) {},
      [](Profile& p) { p.validity += 1s; },
      [](Profile& p) { p.backdate += 1s; },
      [](Profile& p) { p.key_usages.push_back("keyEncipherment"); },
      [](Profile& p) { p.key_usages.clear(); },
      [](Profile& p) { p.extended_key_usages.push_back("clientAuth"); },
      [](Profile& p) { std::swap(p.key_usages, p.extended_key_usages); },
      [](Profile& p) { p.key_types.pop_back(); },
      [](Profile& p) { p.common_name = true; },
      [](Profile& p) { p.client_dates = false; },
      [](Profile& p) { p.backend = "other"; },
  };
  std::set<std::string> hashes;
  for (const auto& change : changes) {
    Profile profile;
    change(profile);
    const std::string hash = hash_of(profile);
    CHECK(hash.size() == 64);
    CHECK(hash == hash_of(profile));
    CHECK(hashes.insert(hash).second);
  }
}

TEST_CASE("a profile's hash stays when only the way to a certificate changes") {
  Profile other;
  other.description = "other words";
  other.order_lifetime = std::chrono::hours(1);
  other.challenge_types = {"dns-01"};
  other.reuse_authorizations = false;
  other.identifiers.allow_ip = false;
  other.caa = CaaMode::off;
  CHECK(hash_of(other) == hash_of(Profile{}));
}

}  // namespace
}  // namespace gatehouse
