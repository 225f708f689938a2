// `gatehouse account list | show | deactivate`.
#include <CLI/App.hpp>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/list_filter.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kListFooter =
    "EXAMPLES\n"
    "  gatehouse account list\n"
    "  gatehouse account list --json | jq -r '.contacts[]'";

constexpr const char* kShowFooter =
    "DESCRIPTION\n"
    "  Shows an account, and what its last requests were refused for: one line for each order and\n"
    "  kind of problem, the ten newest.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse account show ID\n"
    "  gatehouse certificate list --account ID";

constexpr const char* kDeactivateFooter =
    "DESCRIPTION\n"
    "  Deactivates an account for good: its requests are refused, its orders that are not with a "
    "CA "
    "yet\n"
    "  fail. Its certificates stay as they are; revoke those by themselves.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse account deactivate ID\n"
    "  gatehouse certificate list --account ID --json | jq -r .id |\n"
    "    xargs -n 1 gatehouse certificate revoke --reason privilegeWithdrawn";

struct Arguments {
  ControlOptions control;
  ListArguments filter;
  std::string account;
  std::uint64_t limit = 0;
};

std::string contacts_of(const Json& account) {
  std::vector<std::string> contacts;
  for (const Json& each : account.at("contacts")) contacts.push_back(each.get<std::string>());
  return join(contacts, ", ");
}

int run_list(const Arguments& arguments) {
  const ListFilter filter(arguments.filter, "created");
  Control control(arguments.control);
  Listing listing(
      arguments.control.json, arguments.limit,
      {"ACCOUNT", "STATUS", "CREATED", "DIRECTORY", "CONTACTS"},
      [](const Json& account) -> std::vector<std::string> {
        return {text_of(account, "id"), text_of(account, "status"), time_of(account, "created"),
                text_of(account, "directory"), contacts_of(account)};
      },
      [&](const Json& account) { return filter.wants(account); });
  list_pages(control, "/account/list", Json::object(), "accounts", listing);
  return kDone;
}

int print_account(const Json& account, const Arguments& arguments) {
  if (arguments.control.json) {
    print_line(account);
    return kDone;
  }
  std::cout << print_fields({{"account", text_of(account, "id")},
                             {"status", text_of(account, "status")},
                             {"created", time_of(account, "created")},
                             {"directory", text_of(account, "directory")},
                             {"contacts", contacts_of(account)},
                             {"terms", text_of(account, "terms_agreed")},
                             {"key", text_of(account.at("key"), "kty") + ", thumbprint " +
                                         text_of(account, "thumbprint")},
                             {"open orders", text_of(account, "open_orders")}});
  if (account.at("refusals").empty()) return kDone;
  std::cout << "\nlast refused requests\n";
  Table refusals({"LAST", "TIMES", "PROBLEM", "ORDER", "CLIENT", "DETAIL"});
  for (const Json& each : account.at("refusals")) {
    refusals.add({time_of(each, "last"), text_of(each, "count"), text_of(each, "problem"),
                  text_of(each, "order"), text_of(each, "client"), text_of(each, "detail")});
  }
  std::cout << refusals.take_page();
  return kDone;
}

// `path` is a command that takes an account and answers with it.
void add_verb(CLI::App& noun, Command& chosen, const std::string& verb, const char* what,
              const char* footer, const char* path) {
  CLI::App* command = noun.add_subcommand(verb, what);
  command->footer(footer);
  auto arguments = std::make_shared<Arguments>();
  command->add_option("account", arguments->account, "Its id")->required();
  add_control_options(*command, arguments->control);
  command->callback([&chosen, arguments, path] {
    chosen = [arguments, path] {
      Control control(arguments->control);
      return print_account(control.ask(path, {{"account", arguments->account}}), *arguments);
    };
  });
}

}  // namespace

void add_account(CLI::App& program, Command& chosen) {
  CLI::App* noun = program.add_subcommand("account", "List, show and deactivate accounts");
  noun->require_subcommand(1);
  CLI::App* list = noun->add_subcommand("list", "List all accounts");
  list->footer(kListFooter);
  auto arguments = std::make_shared<Arguments>();
  add_filter_options(*list, arguments->filter, ListHas::times);
  list->add_option("--limit", arguments->limit, "At most so many; 0: all")->capture_default_str();
  add_control_options(*list, arguments->control);
  list->callback([&chosen, arguments] { chosen = [arguments] { return run_list(*arguments); }; });
  add_verb(*noun, chosen, "show", "Show one account", kShowFooter, "/account/show");
  add_verb(*noun, chosen, "deactivate", "Deactivate one account, for good", kDeactivateFooter,
           "/account/deactivate");
}

}  // namespace gatehouse::app
