// `gatehouse order list | show | resume | fail | adopt`.
#include <CLI/App.hpp>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/list_filter.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::app {

namespace {

constexpr const char* kListFooter =
    "EXAMPLES\n"
    "  gatehouse order list --limit 20\n"
    "  gatehouse order list --status processing\n"
    "  gatehouse order list --pending\n"
    "  gatehouse order list --suffix corp.example --since 2026-11-01\n"
    "  gatehouse order list --account ID --json";

constexpr const char* kShowFooter =
    "DESCRIPTION\n"
    "  Tells why an order stands where it stands: what failed and with which words, what is tried "
    "again\n"
    "  and when, whom it waits for; then its names, its intents, and what the audit trail says of "
    "it\n"
    "  and of its authorizations (among the 200,000 events after they were made; `gatehouse audit "
    "show\n"
    "  --account ID` has all).\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse order show ID\n"
    "  gatehouse order show ID --json | jq -r '.why[]'";

constexpr const char* kResumeFooter =
    "DESCRIPTION\n"
    "  Sets the issuance of an order going that was parked for an operator: the CA is asked again "
    "about\n"
    "  the same certificate, never for another one. Settle first what `gatehouse order show` says "
    "of it.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse status --json | jq -r '.parked[].subject'\n"
    "  gatehouse order resume ID";

constexpr const char* kFailFooter =
    "DESCRIPTION\n"
    "  Ends the doubt about an order of which nobody can tell whether the CA has issued: you have "
    "looked\n"
    "  there, and it has not. The order fails, and its client makes a new one.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse order fail ID --why \"no certificate for these names at the CA\"";

constexpr const char* kAdoptFooter =
    "DESCRIPTION\n"
    "  Ends the doubt about an order of which nobody can tell whether the CA has issued: it has, "
    "and "
    "FILE\n"
    "  (PEM, DER or PKCS#7) holds the certificate. It is checked as the CA's answer would have "
    "been, "
    "and\n"
    "  becomes the order's; one that is not what was asked for is refused.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse order adopt certificate.pem ID";

struct Arguments {
  ControlOptions control;
  ListArguments filter;
  std::string order, account, status, why, file;
  std::uint64_t limit = 0;
  bool pending = false;
};

int run_list(const Arguments& arguments) {
  const ListFilter filter(arguments.filter, "created");
  Json query = Json::object();
  if (!arguments.account.empty()) query["account"] = arguments.account;
  if (!arguments.status.empty()) query["status"] = arguments.status;
  if (arguments.pending) query["undecided"] = true;
  Control control(arguments.control);
  Listing listing(
      arguments.control.json, arguments.limit,
      {"ORDER", arguments.pending ? "ASKED AGAIN" : "STATUS", "CREATED", "DIRECTORY", "ACCOUNT",
       "NAMES"},
      [&](const Json& order) -> std::vector<std::string> {
        return {text_of(order, "id"),
                arguments.pending ? time_of(order, "asked_again") : text_of(order, "status"),
                time_of(order, "created"),
                text_of(order, "directory"),
                text_of(order, "account"),
                names_of(order)};
      },
      [&](const Json& order) { return filter.wants(order); });
  list_pages(control, "/order/list", query, "orders", listing);
  return kDone;
}

std::string authorizations_of(const Json& order) {
  std::vector<std::string> lines;
  for (const Json& each : order.at("authorizations")) {
    std::string line = (each.at("wildcard").get<bool>() ? "*." : "") + text_of(each, "identifier") +
                       ": " + text_of(each, "status");
    for (const Json& challenge : each.at("challenges")) {
      line += ", " + text_of(challenge, "type") + " " + text_of(challenge, "status");
    }
    lines.push_back(std::move(line));
  }
  return join(lines, "\n");
}

void print_order(const Json& order) {
  std::vector<std::string> why;
  for (const Json& sentence : order.at("why")) why.push_back(sentence.get<std::string>());
  std::vector<std::string> intents;
  for (const Json& each : order.at("issuances")) {
    intents.push_back(text_of(each, "state") + ", serial " + text_of(each, "serial") + ", of " +
                      time_of(each, "created"));
  }
  std::cout << print_fields({{"order", text_of(order, "id")},
                             {"status", text_of(order, "status")},
                             {"why", join(why, "\n")},
                             {"names", names_of(order)},
                             {"proofs", authorizations_of(order)},
                             {"account", text_of(order, "account")},
                             {"directory", text_of(order, "directory")},
                             {"profile", text_of(order, "profile")},
                             {"created", time_of(order, "created")},
                             {"expires", time_of(order, "expires")},
                             {"finalized", time_of(order, "finalized")},
                             {"intents", join(intents, "\n")},
                             {"certificate", text_of(order, "certificate")}})
            << '\n';
  Table events({"AT", "EVENT", "BY", "DETAILS"}, terminal_width());
  for (const Json& each : order.at("events")) {
    events.add(
        {time_of(each, "at"), text_of(each, "kind"), text_of(each, "actor"), details_of(each)});
  }
  std::cout << events.take_page();
}

// The body of a command about an order.
using BodyOf = Json (*)(const Arguments&);

Json order_alone(const Arguments& arguments) {
  return {{"order", arguments.order}};
}

Json order_and_why(const Arguments& arguments) {
  return {{"order", arguments.order}, {"why", arguments.why}};
}

Json order_and_file(const Arguments& arguments) {
  const std::string content = read_file(arguments.file, crypto::kMaxCertificateBytes);
  return {{"order", arguments.order}, {"certificate", base64_encode(as_bytes(content))}};
}

// `path` is a command that takes an order and answers with it.
void add_verb(CLI::App& noun, Command& chosen, const std::string& verb, const char* what,
              const char* footer, const char* path, BodyOf body = order_alone) {
  CLI::App* command = noun.add_subcommand(verb, what);
  command->footer(footer);
  auto arguments = std::make_shared<Arguments>();
  if (body == order_and_file) {
    command->add_option("file", arguments->file, "The certificate")->type_name(kFile)->required();
  }
  command->add_option("order", arguments->order, "Its id")->required();
  if (body == order_and_why) {
    command->add_option("--why", arguments->why, "How you know, for the audit trail")->required();
  }
  add_control_options(*command, arguments->control);
  command->callback([&chosen, arguments, path, body] {
    chosen = [arguments, path, body] {
      const Json question = body(*arguments);
      Control control(arguments->control);
      const Json order = control.ask(path, question);
      if (arguments->control.json) {
        print_line(order);
      } else {
        print_order(order);
      }
      return kDone;
    };
  });
}

}  // namespace

void add_order(CLI::App& program, Command& chosen) {
  CLI::App* noun = program.add_subcommand("order", "List and show orders, end the doubt about one");
  noun->require_subcommand(1);
  CLI::App* list = noun->add_subcommand("list", "List orders, the newest first");
  list->footer(kListFooter);
  auto arguments = std::make_shared<Arguments>();
  list->add_option("--account", arguments->account, "Those of this account");
  takes_one_of(list->add_option("--status", arguments->status, "Those that are"),
               {"pending", "ready", "processing", "valid", "invalid"});
  list->add_flag("--pending", arguments->pending,
                 "Those that a CA elsewhere has not decided yet, and when it is asked again");
  add_filter_options(*list, arguments->filter, ListHas::names_and_times);
  list->add_option("--limit", arguments->limit, "At most so many; 0: all")->capture_default_str();
  add_control_options(*list, arguments->control);
  list->callback([&chosen, arguments] { chosen = [arguments] { return run_list(*arguments); }; });
  add_verb(*noun, chosen, "show", "Tell why an order stands where it stands", kShowFooter,
           "/order/show");
  add_verb(*noun, chosen, "resume", "Set a parked order going again", kResumeFooter,
           "/order/resume");
  add_verb(*noun, chosen, "fail", "The CA has not issued: fail an order that is in doubt",
           kFailFooter, "/order/fail", order_and_why);
  add_verb(*noun, chosen, "adopt", "The CA has issued: give an order in doubt its certificate",
           kAdoptFooter, "/order/adopt", order_and_file);
}

}  // namespace gatehouse::app
