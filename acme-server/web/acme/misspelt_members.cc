#include "acme-server/web/acme/misspelt_members.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::web {
namespace {

// Members of the payloads that clients send (RFC 8555 sections 7.3 to 7.6, and of drafts that this
// server knows), and those of the objects in them.
constexpr std::array<std::string_view, 15> kKnown = {"contact",
                                                     "termsOfServiceAgreed",
                                                     "onlyReturnExisting",
                                                     "status",
                                                     "identifiers",
                                                     "type",
                                                     "value",
                                                     "notBefore",
                                                     "notAfter",
                                                     "profile",
                                                     "csr",
                                                     "certificate",
                                                     "reason",
                                                     "account",
                                                     "oldKey"};
constexpr std::size_t kMaxAgent = 200;

std::optional<std::string_view> meant_by(std::string_view member) {
  if (std::ranges::find(kKnown, member) != kKnown.end()) return std::nullopt;
  const auto* const meant = std::ranges::find_if(
      kKnown, [&](std::string_view known) { return equals_ignoring_case(known, member); });
  return meant == kKnown.end() ? std::nullopt : std::optional(*meant);
}

void collect(const Json& json, std::vector<std::string>& members) {
  if (json.is_array()) {
    for (const Json& entry : json) {
      if (entry.is_object()) collect(entry, members);
    }
  }
  if (!json.is_object()) return;
  for (const auto& item : json.items()) {
    if (meant_by(item.key())) members.push_back(item.key());
    if (item.value().is_array()) collect(item.value(), members);
  }
}

// The misspelt members of a payload; none of what is no JSON.
std::vector<std::string> misspelt_in(std::string_view payload) {
  std::vector<std::string> members;
  try {
    collect(parse_json(payload), members);
  } catch (const JsonError&) {
    return {};  // whoever reads it says so to the client
  }
  return members;
}

}  // namespace

void MisspeltMembers::look_at(std::string_view payload, std::string_view agent) {
  if (payload.empty()) return;
  for (const std::string& member : misspelt_in(payload)) {
    const std::string who = sanitize(agent, kMaxAgent);
    const bool first = told_.with([&](auto& told) {
      if (told.size() >= kRemembered) told.clear();
      return told.emplace(who, member).second;
    });
    if (!first) continue;
    log_.warning("payload.misspelt_member",
                 {{"agent", who},
                  {"sent", member},
                  {"meant", meant_by(member).value_or("")},
                  {"what", "it was ignored, since names of members are compared with their case"}});
  }
}

}  // namespace gatehouse::web
