// `gatehouse backend list | check | resume`.
#include <CLI/App.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kCheckFooter =
    "DESCRIPTION\n"
    "  Asks the CA behind a backend whether requests would be taken, and says what would fail.\n"
    "  With --enrol a certificate for NAME is ordered as well, for a key that is thrown away; it "
    "is\n"
    "  checked and recorded like any other, and is yours to revoke. A backend that was stopped for "
    "a\n"
    "  wrong certificate goes on when this one is right. Exit code 1 when anything fails.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse backend check corp\n"
    "  gatehouse backend check corp --enrol check.corp.example";

constexpr const char* kResumeFooter =
    "DESCRIPTION\n"
    "  Ends the stop of a backend whose CA has issued a wrong certificate, without trying it out:\n"
    "  see `gatehouse backend check NAME --enrol`. Orders that waited go on within a minute.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse backend resume corp";

// How often the outcome of a trial is asked for, and for how long.
constexpr std::chrono::milliseconds kPause{500};
constexpr std::chrono::minutes kPatience{5};

struct Arguments {
  ControlOptions control;
  std::string backend, enrol;
};

std::string issuers_of(const Json& backend) {
  std::vector<std::string> lines;
  for (const Json& issuer : backend.at("issuers")) {
    lines.push_back(text_of(issuer, "subject") + ", until " + time_of(issuer, "not_after"));
  }
  return join(lines, "; ");
}

std::string state_of(const Json& backend) {
  const Json& stopped = backend.at("stopped");
  if (!stopped.is_null()) {
    return "stopped since " + time_of(stopped, "since") + " by order " + text_of(stopped, "order") +
           ": " + text_of(stopped, "why");
  }
  return backend.at("ready").get<bool>() ? "ready"
                                         : "not ready: " + text_of(backend, "why_not_ready");
}

int run_list(const Arguments& arguments) {
  Control control(arguments.control);
  const Json answer = control.ask("/backend/list");
  if (arguments.control.json) {
    for (const Json& backend : answer.at("backends")) print_line(backend);
    return kDone;
  }
  Table table({"NAME", "TYPE", "STATE", "ISSUERS"}, terminal_width());
  for (const Json& backend : answer.at("backends")) {
    table.add({text_of(backend, "name"), text_of(backend, "type"), state_of(backend),
               issuers_of(backend)});
  }
  std::cout << table.take_page();
  return kDone;
}

// The order once it has an outcome, or as it is after kPatience.
Json wait_for(Control& control, const std::string& order) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    Json shown = control.ask("/order/show", {{"order", order}});
    const bool done = text_of(shown, "status") != "processing" || !shown.at("job").is_object() ||
                      shown.at("job").at("parked").get<bool>();
    if (done || std::chrono::steady_clock::now() >= until) return shown;
    std::this_thread::sleep_for(kPause);
  }
}

int run_check(const Arguments& arguments) {
  Control control(arguments.control);
  Json command = {{"backend", arguments.backend}};
  if (!arguments.enrol.empty()) {
    if (!control.server_runs()) {
      throw CommandFailed("no server runs that could enrol; start it, then check again");
    }
    command["enrol"] = arguments.enrol;
  }
  Json answer = control.ask("/backend/check", command);
  bool fails = !answer.at("fails").is_null();
  if (answer.contains("order")) {
    const Json order = wait_for(control, text_of(answer, "order"));
    answer["trial"] = {{"status", order.at("status")}, {"why", order.at("why")}};
    fails = fails || text_of(order, "status") != "valid";
  }
  if (arguments.control.json) {
    print_line(answer);
    return fails ? kFailed : kDone;
  }
  std::string trial;
  if (answer.contains("trial")) {
    trial = text_of(answer.at("trial"), "status");
    for (const Json& sentence : answer.at("trial").at("why")) {
      trial += "\n" + sentence.get<std::string>();
    }
  }
  std::cout << print_fields({{"backend", text_of(answer, "name")},
                             {"type", text_of(answer, "type")},
                             {"state", state_of(answer)},
                             {"issuers", issuers_of(answer)},
                             {"said", text_of(answer, "said")},
                             {"fails", text_of(answer, "fails")},
                             {"order", text_of(answer, "order")},
                             {"enrolled", trial}})
            << '\n';
  return fails ? kFailed : kDone;
}

int run_resume(const Arguments& arguments) {
  Control control(arguments.control);
  const Json answer = control.ask("/backend/resume", {{"backend", arguments.backend}});
  if (arguments.control.json) {
    print_line(answer);
  } else {
    std::cout << "Backend " << text_of(answer, "name") << " goes on.\n";
  }
  return kDone;
}

}  // namespace

void add_backend(CLI::App& program, Command& chosen) {
  CLI::App* noun =
      program.add_subcommand("backend", "List and check the CAs behind, resume a stopped one");
  noun->require_subcommand(1);
  const auto add = [&](const char* verb, const char* what, const char* footer,
                       int (*run)(const Arguments&)) {
    CLI::App* command = noun->add_subcommand(verb, what);
    command->footer(footer);
    auto arguments = std::make_shared<Arguments>();
    if (run != run_list) {
      command->add_option("name", arguments->backend, "Its name in the config")
          ->type_name(kBackend)
          ->required();
    }
    if (run == run_check) {
      command->add_option("--enrol", arguments->enrol,
                          "Order a certificate for this DNS name, too");
    }
    add_control_options(*command, arguments->control);
    command->callback(
        [&chosen, arguments, run] { chosen = [arguments, run] { return run(*arguments); }; });
  };
  add("list", "List the backends, whether each issues, and its issuers",
      "EXAMPLE\n  gatehouse backend list", run_list);
  add("check", "Ask the CA whether it would issue", kCheckFooter, run_check);
  add("resume", "Let a stopped backend issue again", kResumeFooter, run_resume);
}

}  // namespace gatehouse::app
