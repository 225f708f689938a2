// `gatehouse audit show | verify`.
#include <CLI/App.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/list_filter.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kShowFooter =
    "DESCRIPTION\n"
    "  Shows events of the audit trail, the oldest first. With --json each is one line, with its\n"
    "  sequence and hash: all of them are the export that a restore takes.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse audit show --order ID\n"
    "  gatehouse audit show --kind certificate.revoked --since 2026-11-01\n"
    "  gatehouse audit show --name www.corp.example --until 2026-12-01\n"
    "  gatehouse audit show --json > audit-$(date +%F).jsonl\n"
    "  gatehouse audit show --json --after 120000 >> audit.jsonl";

constexpr const char* kVerifyFooter =
    "DESCRIPTION\n"
    "  Checks every event's hash against the event and the hash before it, and prints the last "
    "sequence\n"
    "  and hash. Keep that line on another machine: rows cut off at the end, or a chain made anew, "
    "leave\n"
    "  no trace but that. --expect takes the line of an earlier time and fails when the trail no "
    "longer\n"
    "  has that event with that hash. The export of `audit show --json` has each event's.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse audit verify\n"
    "  gatehouse audit verify --expect 48211:9f86d081884c7d65…";

struct ShowArguments {
  ControlOptions control;
  ListArguments filter;
  std::string account, order, certificate, kind, actor;
  std::uint64_t after = 0, limit = 0;
};

struct VerifyArguments {
  ControlOptions control;
  std::string expect;
};

int run_show(const ShowArguments& arguments) {
  Json query = Json::object();
  const std::vector<std::pair<const char*, const std::string*>> filters = {
      {"account", &arguments.account},
      {"order", &arguments.order},
      {"certificate", &arguments.certificate},
      {"kind", &arguments.kind},
      {"actor", &arguments.actor}};
  for (const auto& [name, value] : filters) {
    if (!value->empty()) query[name] = *value;
  }
  const ListFilter filter(arguments.filter, "at");
  if (!arguments.filter.since.empty()) {
    query["since"] = to_rfc3339(read_time("--since", arguments.filter.since));
  }
  if (arguments.after > 0) query["after"] = arguments.after;
  Control control(arguments.control);
  Listing listing(
      arguments.control.json, arguments.limit, {"SEQUENCE", "AT", "EVENT", "BY", "OF", "DETAILS"},
      [](const Json& event) -> std::vector<std::string> {
        return {text_of(event, "sequence"), time_of(event, "at"), text_of(event, "kind"),
                text_of(event, "actor"),    subject_of(event),    details_of(event)};
      },
      [&](const Json& event) { return filter.wants(event); });
  list_pages(control, "/audit/list", query, "events", listing);
  return kDone;
}

struct Expected {
  std::int64_t sequence = 0;
  std::string hash;
};

Expected read_expected(const std::string& text) {
  Expected expected;
  const std::size_t colon = text.find(':');
  const std::size_t digits = colon == std::string::npos ? text.size() : colon;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, expected.sequence);
  if (colon != std::string::npos) expected.hash = to_lower(text.substr(colon + 1));
  if (error != std::errc() || end != text.data() + digits || expected.sequence < 1 ||
      expected.hash.size() != 64) {
    throw std::runtime_error("--expect: write it as SEQUENCE:HASH, the way verify prints it");
  }
  return expected;
}

void check_expected(Control& control, const Expected& expected) {
  const std::string named = "event " + std::to_string(expected.sequence);
  const Json page = control.ask("/audit/list", {{"after", expected.sequence - 1}, {"limit", 1}});
  if (page.at("events").empty()) {
    throw CommandFailed("the audit trail ends before " + named +
                        ", which it had: its end was cut off, or an older database was put back");
  }
  if (text_of(page.at("events")[0], "hash") != expected.hash) {
    throw CommandFailed("the audit trail has another " + named +
                        " than it had: the chain was made anew, or this is another database");
  }
}

int run_verify(const VerifyArguments& arguments) {
  std::optional<Expected> expected;
  if (!arguments.expect.empty()) expected = read_expected(arguments.expect);
  Control control(arguments.control);
  Json slice = {{"sequence", 0}, {"hash", ""}};
  do {
    slice = control.ask("/audit/verify",
                        {{"sequence", slice.at("sequence")}, {"hash", slice.at("hash")}});
    if (!slice.at("broken").is_null()) throw CommandFailed(text_of(slice, "broken"));
  } while (!slice.at("end").get<bool>());
  if (expected) check_expected(control, *expected);
  if (arguments.control.json) {
    print_line({{"sequence", slice.at("sequence")}, {"hash", slice.at("hash")}});
  } else {
    std::cout << text_of(slice, "sequence") << ":" << text_of(slice, "hash") << '\n';
  }
  return kDone;
}

}  // namespace

void add_audit(CLI::App& program, Command& chosen) {
  CLI::App* noun = program.add_subcommand("audit", "Show and verify the audit trail");
  noun->require_subcommand(1);
  CLI::App* show = noun->add_subcommand("show", "Show events, the oldest first");
  show->footer(kShowFooter);
  auto shown = std::make_shared<ShowArguments>();
  show->add_option("--account", shown->account, "Those of this account");
  show->add_option("--order", shown->order, "Those of this order");
  show->add_option("--certificate", shown->certificate, "Those of this certificate, by its id");
  show->add_option("--kind", shown->kind, "Those of this kind, such as certificate.issued");
  show->add_option("--actor", shown->actor,
                   "Those by account:ID, operator:UID, key:SHA256 or server");
  add_filter_options(*show, shown->filter, ListHas::names_and_times);
  show->add_option("--after", shown->after, "Behind this sequence number");
  show->add_option("--limit", shown->limit, "At most so many; 0: all")->capture_default_str();
  add_control_options(*show, shown->control);
  show->callback([&chosen, shown] { chosen = [shown] { return run_show(*shown); }; });

  CLI::App* verify = noun->add_subcommand("verify", "Check the chain of hashes, print its end");
  verify->footer(kVerifyFooter);
  auto verified = std::make_shared<VerifyArguments>();
  verify->add_option("--expect", verified->expect, "SEQUENCE:HASH as verify printed it before");
  add_control_options(*verify, verified->control);
  verify->callback([&chosen, verified] { chosen = [verified] { return run_verify(*verified); }; });
}

}  // namespace gatehouse::app
