// `gatehouse status`.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kFooter =
    "DESCRIPTION\n"
    "  Tells how the server does: whether it is ready and if not why, its version, database,\n"
    "  listeners and directories, its issuers and when they end, its CRLs and when the next are "
    "due, the jobs "
    "that\n"
    "  wait, and those that are parked until an operator decides. Times are UTC.\n"
    "\n"
    "  Everything that expires is in it, roots, their CRLs and listener certificates too, and\n"
    "  \"needs you\" says what a person must see to. --check prints that alone, for monitoring: "
    "exit\n"
    "  status 1 when there is anything, and when no server runs; 0 when all is well.\n"
    "\n"
    "  Without a server running it tells what the database and the config say.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse status --config /etc/gatehouse/gatehouse.json\n"
    "  gatehouse status --check\n"
    "  gatehouse status --json | jq '.issuers[].not_after'";

struct Arguments {
  ControlOptions control;
  bool check = false;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string print_span(std::int64_t seconds) {
  const std::int64_t days = seconds / 86400;
  const std::int64_t hours = seconds / 3600 % 24;
  const std::int64_t minutes = seconds / 60 % 60;
  if (days > 0) return std::to_string(days) + " d " + std::to_string(hours) + " h";
  if (hours > 0) return std::to_string(hours) + " h " + std::to_string(minutes) + " min";
  return std::to_string(minutes) + " min " + std::to_string(seconds % 60) + " s";
}

std::string lines_of(const Json& strings) {
  std::vector<std::string> lines;
  for (const Json& line : strings) lines.push_back(line.get<std::string>());
  return join(lines, "\n");
}

void add_issuer(const Json& issuer, Fields& fields) {
  std::string text = text_of(issuer, "subject") + "\nbackend " + text_of(issuer, "backend") +
                     ", valid until " + time_of(issuer, "not_after") +
                     (issuer.at("signs_new").get<bool>() ? "" : ", signs CRLs only");
  for (const Json& crl : issuer.at("crls")) {
    text += "\nCRL " + text_of(crl, "url") +
            (crl.at("number").is_null() ? " is not made yet"
                                        : ", of " + time_of(crl, "this_update") + ", good until " +
                                              time_of(crl, "next_update"));
  }
  fields.emplace_back("issuer", std::move(text));
}

std::string print_jobs(const Json& jobs) {
  std::string text;
  for (const Json& job : jobs) {
    text += (text.empty() ? "" : "\n") + text_of(job, "waiting") + " " + text_of(job, "kind") +
            ", next at " + time_of(job, "next");
  }
  return text.empty() ? "none" : text;
}

// "root CN=… until 2036-11-30 12:00:00, EXPIRED".
std::string print_expiring(const Json& expiring) {
  std::vector<std::string> lines;
  for (const Json& thing : expiring) {
    const std::string state = text_of(thing, "state");
    lines.push_back(time_of(thing, "ends") + "  " + text_of(thing, "what") +
                    (state == "expired"   ? "  EXPIRED"
                     : state == "warning" ? "  SOON"
                                          : ""));
  }
  std::ranges::sort(lines);  // they begin with the time
  return join(lines, "\n");
}

// What a person must see to. Without a server that is the first thing.
std::vector<std::string> attention_of(const Json& status, bool server_runs) {
  std::vector<std::string> sentences;
  if (!server_runs) sentences.emplace_back("the server does not run");
  for (const Json& each : status.at("attention")) {
    std::string sentence = each.get<std::string>();
    // A Server of this process has no listeners and is never ready.
    if (server_runs || !sentence.starts_with("not ready: ")) {
      sentences.push_back(std::move(sentence));
    }
  }
  return sentences;
}

void print_status(const Json& status, bool server_runs) {
  Fields fields;
  if (!server_runs) {
    fields.emplace_back("server", "not running; this is what its database and config say");
  } else {
    const bool ready = status.at("ready").get<bool>();
    fields.emplace_back("server",
                        ready ? "ready" : "NOT READY\n" + lines_of(status.at("not_ready")));
    fields.emplace_back("up", print_span(status.at("uptime_seconds").get<std::int64_t>()) +
                                  ", since " + time_of(status, "started"));
    fields.emplace_back("listeners", lines_of(status.at("listeners")));
  }
  for (const Json& warning : status.at("warnings")) {
    fields.emplace_back("WARNING", warning.get<std::string>());
  }
  if (status.at("directories").size() > 1) {
    fields.emplace_back("directories", lines_of(status.at("directories")));
  }
  for (const Json& stop : status.at("issuance_stopped")) {
    fields.emplace_back("ISSUANCE STOPPED", text_of(stop, "reason") + " since " +
                                                time_of(stop, "since") + ", by " +
                                                text_of(stop, "by") + ": " + text_of(stop, "why"));
  }
  if (const auto attention = attention_of(status, server_runs); !attention.empty()) {
    fields.emplace_back("needs you", join(attention, "\n"));
  }
  fields.emplace_back("version", text_of(status, "version"));
  fields.emplace_back("database",
                      text_of(status, "database") + ", schema " + text_of(status, "schema"));
  for (const Json& issuer : status.at("issuers")) add_issuer(issuer, fields);
  if (!status.at("expiring").empty()) {
    fields.emplace_back("ends", print_expiring(status.at("expiring")));
  }
  fields.emplace_back("jobs", print_jobs(status.at("jobs")));
  for (const Json& job : status.at("parked")) {
    fields.emplace_back("PARKED", text_of(job, "kind") + " of " + text_of(job, "subject") + ": " +
                                      text_of(job, "why"));
  }
  fields.emplace_back("audit", "event " + text_of(status.at("audit"), "sequence") + " is the last");
  std::cout << print_fields(fields);
}

int run_status(const Arguments& arguments) {
  Control control(arguments.control);
  const Json status = control.ask("/status");
  const std::vector<std::string> attention = attention_of(status, control.server_runs());
  if (arguments.control.json) {
    print_line(status);
  } else if (arguments.check) {
    std::cout << (attention.empty() ? "all is well" : join(attention, "\n")) << '\n';
  } else {
    print_status(status, control.server_runs());
  }
  return arguments.check && !attention.empty() ? kFailed : kDone;
}

}  // namespace

void add_status(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("status", "Tell how the server does");
  command->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  command->add_flag("--check", arguments->check,
                    "Print what a person must see to, and exit with 1 when there is anything");
  add_control_options(*command, arguments->control);
  command->callback(
      [&chosen, arguments] { chosen = [arguments] { return run_status(*arguments); }; });
}

}  // namespace gatehouse::app
