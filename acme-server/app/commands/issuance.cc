// `gatehouse stop-issuance` and `gatehouse resume-issuance`.
#include <CLI/App.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/base/json.h"

namespace gatehouse::app {

namespace {

constexpr const char* kStopFooter =
    "DESCRIPTION\n"
    "  From now on nothing is signed for any order until resume-issuance, even after restarts.\n"
    "  Clients can still finalize orders, which then wait; directory, downloads, revocation and\n"
    "  CRLs go on. Without a running server, issuance is stopped from its next start.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse stop-issuance --why \"the key may be known\"";

constexpr const char* kResumeFooter =
    "DESCRIPTION\n"
    "  Ends the operator's stop; waiting orders go on at once. A stop because of the clock (see\n"
    "  gatehouse status) ends only with --accept-clock, which says that the clock is right now,\n"
    "  whatever it was before. A stop because of a full disk ends when there is room.\n"
    "  Exit code 1 when issuance is still stopped afterwards.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse resume-issuance\n"
    "  gatehouse resume-issuance --accept-clock";

struct StopArguments {
  ControlOptions control;
  std::string why;
};

struct ResumeArguments {
  ControlOptions control;
  bool accept_clock = false;
};

std::string line_of(const Json& stop) {
  return text_of(stop, "reason") + ", since " + time_of(stop, "since") + ", by " +
         text_of(stop, "by") + ": " + text_of(stop, "why");
}

int run_stop(const StopArguments& arguments) {
  Control control(arguments.control);
  const Json result = control.ask("/stop-issuance", {{"why", arguments.why}});
  if (arguments.control.json) {
    print_line(result);
    return kDone;
  }
  if (!result.at("changed").get<bool>()) std::cout << "Issuance was stopped already.\n";
  for (const Json& stop : result.at("stopped")) std::cout << "stopped: " << line_of(stop) << '\n';
  return kDone;
}

int run_resume(const ResumeArguments& arguments) {
  Control control(arguments.control);
  const Json result = control.ask("/resume-issuance", {{"accept_clock", arguments.accept_clock}});
  const Json& stopped = result.at("stopped");
  if (arguments.control.json) {
    print_line(result);
    return stopped.empty() ? kDone : kFailed;
  }
  for (const Json& stop : result.at("ended")) std::cout << "ended: " << line_of(stop) << '\n';
  for (const Json& stop : stopped) {
    std::cout << "still stopped: " << line_of(stop) << '\n';
    if (stop.at("reason") == "clock") {
      std::cout
          << "  set the clock if it is wrong, then: gatehouse resume-issuance --accept-clock\n";
    }
  }
  if (stopped.empty())
    std::cout << "Certificates are issued; it is " << time_of(result, "now") << ".\n";
  return stopped.empty() ? kDone : kFailed;
}

}  // namespace

void add_issuance(CLI::App& program, Command& chosen) {
  CLI::App* stop = program.add_subcommand("stop-issuance", "Sign nothing until resume-issuance");
  stop->footer(kStopFooter);
  auto stop_arguments = std::make_shared<StopArguments>();
  add_control_options(*stop, stop_arguments->control);
  stop->add_option("--why", stop_arguments->why, "The reason, for the next operator")->required();
  stop->callback([&chosen, stop_arguments] {
    chosen = [stop_arguments] { return run_stop(*stop_arguments); };
  });

  CLI::App* resume = program.add_subcommand("resume-issuance", "Sign again");
  resume->footer(kResumeFooter);
  auto resume_arguments = std::make_shared<ResumeArguments>();
  add_control_options(*resume, resume_arguments->control);
  resume->add_flag("--accept-clock", resume_arguments->accept_clock,
                   "The clock is right now, wherever it was before");
  resume->callback([&chosen, resume_arguments] {
    chosen = [resume_arguments] { return run_resume(*resume_arguments); };
  });
}

}  // namespace gatehouse::app
