#include "acme-server/app/commands/list_filter.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/app/cli/values.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

void add(CLI::App& command, const std::string& option, std::string& value, const char* what,
         const char* type = "TEXT") {
  if (command.get_option_no_throw(option) != nullptr) return;
  command.add_option(option, value, what)->type_name(type);
}

// "dns:www.corp.example" without its type.
std::vector<std::string> names_in(const Json& identifiers) {
  std::vector<std::string> names;
  for (const Json& each : identifiers) {
    const std::string text = each.get<std::string>();
    names.push_back(text.substr(text.find(':') + 1));
  }
  return names;
}

// Where an item keeps its names and profile: an audit event among its details.
const Json& facts_of(const Json& item) {
  const auto details = item.find("details");
  return details == item.end() ? item : *details;
}

// "corp.example" covers itself and all below it, as allowed_dns does.
bool is_below(std::string_view name, std::string_view suffix) {
  return name == suffix || (name.size() > suffix.size() && name.ends_with(suffix) &&
                            name[name.size() - suffix.size() - 1] == '.');
}

}  // namespace

void add_filter_options(CLI::App& command, ListArguments& arguments, ListHas has) {
  if (has == ListHas::names_and_times) {
    add(command, "--name", arguments.name, "Those for this DNS name or address, exactly");
    add(command, "--suffix", arguments.suffix, "Those with a name that is this one or below it");
    add(command, "--profile", arguments.profile, "Those of this profile", kProfile);
  }
  add(command, "--since", arguments.since, "Since 2026-12-31 or 2026-12-31T12:00:00Z");
  add(command, "--until", arguments.until, "Before such a time");
}

ListFilter::ListFilter(const ListArguments& arguments, std::string time)
    : name_(to_lower(arguments.name)),
      suffix_(to_lower(arguments.suffix)),
      profile_(arguments.profile),
      time_(std::move(time)) {
  if (!arguments.since.empty()) since_ = read_time("--since", arguments.since);
  if (!arguments.until.empty()) until_ = read_time("--until", arguments.until);
}

bool ListFilter::wants_names_of(const Json& item) const {
  if (name_.empty() && suffix_.empty()) return true;
  const Json& facts = facts_of(item);
  const auto identifiers = facts.find("identifiers");
  if (identifiers == facts.end() || !identifiers->is_array()) return false;
  const std::vector<std::string> names = names_in(*identifiers);
  const auto any = [&](const auto& fits) { return std::ranges::any_of(names, fits); };
  return (name_.empty() || any([&](const std::string& name) { return name == name_; })) &&
         (suffix_.empty() || any([&](const std::string& name) { return is_below(name, suffix_); }));
}

bool ListFilter::wants(const Json& item) const {
  if (since_ || until_) {
    const auto at = from_rfc3339(text_of(item, time_));
    if (!at || (since_ && *at < *since_) || (until_ && *at >= *until_)) return false;
  }
  if (!profile_.empty() && text_of(facts_of(item), "profile") != profile_) return false;
  return wants_names_of(item);
}

bool Lineages::was_renewed(const Json& certificate) {
  std::vector<std::string> names = names_in(certificate.at("identifiers"));
  std::ranges::sort(names);
  const std::string lineage = text_of(certificate, "account") + " " + join(names, " ");
  if (seen_.contains(lineage)) return true;
  if (text_of(certificate, "status") != "revoked") seen_.insert(lineage);
  return false;
}

}  // namespace gatehouse::app
