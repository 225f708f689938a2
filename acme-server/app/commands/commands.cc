#include "acme-server/app/commands/commands.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr std::uint64_t kPage = 200;  // rows asked for at a time
constexpr std::size_t kLongestDetails = 160;
constexpr std::int64_t kLongestSpan = 100'000;  // of its unit: what still fits a date

}  // namespace

void add_commands(CLI::App& program, Command& chosen) {
  add_status(program, chosen);
  add_certificate(program, chosen);
  add_account(program, chosen);
  add_order(program, chosen);
  add_audit(program, chosen);
  add_backend(program, chosen);
  add_backup(program, chosen);
  add_issuance(program, chosen);
}

std::string text_of(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : print_json(*found);
}

std::string time_of(const Json& object, std::string_view name) {
  std::string text = text_of(object, name);
  if (const auto t = text.find('T'); t != std::string::npos) text[t] = ' ';
  if (text.ends_with('Z')) text.pop_back();
  return text;
}

std::string names_of(const Json& object) {
  std::vector<std::string> names;
  for (const Json& each : object.at("identifiers")) {
    const std::string text = each.get<std::string>();
    names.push_back(text.substr(text.find(':') + 1));
  }
  return join(names, ", ");
}

std::string details_of(const Json& event) {
  const Json& details = event.at("details");
  if (details.contains("problem")) {
    const std::string answer = text_of(details, "answer");
    return text_of(details.at("problem"), "detail") +
           (answer.empty() ? "" : " The CA said: " + answer);
  }
  std::vector<std::string> parts;
  for (const auto& item : details.items()) {
    if (item.value().is_string() || item.value().is_number()) {
      parts.push_back(item.key() + "=" + text_of(details, item.key()));
    }
  }
  const std::string text = join(parts, " ");
  return text.size() > kLongestDetails ? text.substr(0, kLongestDetails) + "..." : text;
}

std::string subject_of(const Json& event) {
  for (const char* name : {"certificate", "order", "authorization", "account"}) {
    if (!event.at(name).is_null()) return std::string(name) + " " + text_of(event, name);
  }
  return "";
}

Instant read_time(const std::string& option, const std::string& text) {
  const auto instant = from_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (instant) return *instant;
  throw std::runtime_error(option + ": \"" + sanitize(text, 40) +
                           "\" is neither of the form 2026-12-31 nor 2026-12-31T12:00:00Z");
}

std::chrono::seconds read_span(const std::string& option, const std::string& text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string unit(end, text.data() + text.size());
  const std::map<std::string, std::int64_t> units = {
      {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
  const auto found = units.find(unit);
  if (error == std::errc() && found != units.end() && count > 0 && count <= kLongestSpan) {
    return std::chrono::seconds(count * found->second);
  }
  throw std::runtime_error(option + ": \"" + sanitize(text, 40) +
                           "\" is not of the form 14d, 12h, 30m or 90s");
}

bool Listing::add(const Json& item) {
  if (limit_ > 0 && count_ >= limit_) return false;
  if (!wanted_(item)) return true;
  ++count_;
  if (json_) {
    print_line(item);
  } else {
    table_.add(row_(item));
  }
  return true;
}

void Listing::finish() {
  if (!json_) std::cout << table_.take_page();
}

std::uint64_t Listing::wanted(std::uint64_t most) const {
  return limit_ == 0 ? most : std::min(most, limit_ - count_);
}

void for_each_item(Control& control, const std::string& path, Json query, const std::string& member,
                   const std::function<bool(const Json&)>& take) {
  for (;;) {
    query["limit"] = kPage;
    const Json page = control.ask(path, query);
    for (const Json& item : page.at(member)) {
      if (!take(item)) return;
    }
    const Json& next = page.at("next");
    if (next.is_null()) return;
    query["after"] = next;
  }
}

void list_pages(Control& control, const std::string& path, Json query, const std::string& member,
                Listing& listing) {
  while (listing.wanted(kPage) > 0) {
    query["limit"] = kPage;  // filtering here may leave fewer items than wanted
    const Json page = control.ask(path, query);
    for (const Json& item : page.at(member)) {
      if (!listing.add(item)) break;
    }
    const Json& next = page.at("next");
    if (next.is_null() || listing.wanted(kPage) == 0) break;
    listing.finish();
    query["after"] = next;
  }
  listing.finish();
}

void print_line(const Json& json) {
  std::cout << print_json(json) << '\n';
}

}  // namespace gatehouse::app
