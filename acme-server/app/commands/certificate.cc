// `gatehouse certificate list | show | revoke`.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/revocation_reason.h"

namespace gatehouse::app {

namespace {

constexpr const char* kListFooter =
    "DESCRIPTION\n"
    "  Lists certificates, the newest first. Filters narrow together. Every certificate that was "
    "ever\n"
    "  issued is looked at, a page at a time; with --json each is one line.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse certificate list --name www.corp.example\n"
    "  gatehouse certificate list --expiring-within 14d\n"
    "  gatehouse certificate list --revoked --json | jq -r .serial";

constexpr const char* kShowFooter =
    "DESCRIPTION\n"
    "  Shows one certificate: what it says, whose it is, whether it is revoked, and its chain in "
    "PEM.\n"
    "  It is named by its id or its serial number in hex.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse certificate show 03a7…\n"
    "  gatehouse certificate show 03a7… --json | jq -r .chain_pem | openssl x509 -noout -text";

constexpr const char* kRevokeFooter =
    "DESCRIPTION\n"
    "  Revokes one certificate for good, its owner's consent or not. The CRL is made anew at once; "
    "without\n"
    "  a server, at its next start. Reasons (RFC 5280): unspecified, keyCompromise (no new "
    "certificate and\n"
    "  no account takes that key any more), affiliationChanged, superseded, cessationOfOperation,\n"
    "  privilegeWithdrawn. The audit trail keeps who did it.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse certificate revoke 03a7… --reason keyCompromise";

struct ListArguments {
  ControlOptions control;
  std::string name, account, serial, expires_before, expiring_within;
  bool revoked = false;
  std::uint64_t limit = 0;
};

struct OneArguments {
  ControlOptions control;
  std::string certificate, reason = "unspecified";
};

std::string reason_name(const Json& revocation) {
  const auto name = revocation_reason_name(revocation.at("reason").get<int>());
  return name ? std::string(*name) : text_of(revocation, "reason");
}

std::vector<std::string> row_of(const Json& certificate) {
  return {text_of(certificate, "serial"), text_of(certificate, "status"),
          time_of(certificate, "not_after"), text_of(certificate, "account"),
          names_of(certificate)};
}

Json query_of(const ListArguments& arguments) {
  Json query = Json::object();
  if (!arguments.name.empty()) query["name"] = arguments.name;
  if (!arguments.account.empty()) query["account"] = arguments.account;
  if (arguments.revoked) query["revoked"] = true;
  if (!arguments.expires_before.empty()) {
    query["ends_before"] = to_rfc3339(read_time("--expires-before", arguments.expires_before));
  }
  if (!arguments.expiring_within.empty()) {
    const Instant now = SystemClock().now();
    query["ends_at_or_after"] = to_rfc3339(now);
    query["ends_before"] =
        to_rfc3339(now + read_span("--expiring-within", arguments.expiring_within));
  }
  return query;
}

int run_list(const ListArguments& arguments) {
  const Json query = query_of(arguments);
  Control control(arguments.control);
  Listing listing(arguments.control.json, arguments.limit,
                  {"SERIAL", "STATUS", "ENDS", "ACCOUNT", "NAMES"}, row_of);
  if (!arguments.serial.empty()) {
    listing.add(control.ask("/certificate/show", {{"certificate", arguments.serial}}));
    listing.finish();
    return kDone;
  }
  list_pages(control, "/certificate/list", query, "certificates", listing);
  return kDone;
}

void print_certificate(const Json& certificate) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"certificate", text_of(certificate, "id")},
      {"status", text_of(certificate, "status")},
      {"serial", text_of(certificate, "serial")},
      {"names", names_of(certificate)},
      {"valid", time_of(certificate, "not_before") + " to " + time_of(certificate, "not_after")},
      {"issued", time_of(certificate, "issued") + " by backend " + text_of(certificate, "backend") +
                     ", issuer " + text_of(certificate, "issuer")},
      {"account", certificate.at("account").is_null() ? "none: the server's own"
                                                      : text_of(certificate, "account")},
      {"order", text_of(certificate, "order")},
      {"CRL", text_of(certificate, "crl")}};
  const Json& revocation = certificate.at("revocation");
  if (!revocation.is_null()) {
    fields.emplace_back("REVOKED",
                        time_of(revocation, "at") + ", reason " + reason_name(revocation));
  }
  std::cout << print_fields(fields) << '\n' << text_of(certificate, "chain_pem");
}

int run_show(const OneArguments& arguments) {
  Control control(arguments.control);
  const Json shown = control.ask("/certificate/show", {{"certificate", arguments.certificate}});
  if (arguments.control.json) {
    print_line(shown);
  } else {
    print_certificate(shown);
  }
  return kDone;
}

int run_revoke(const OneArguments& arguments) {
  Control control(arguments.control);
  const Json shown = control.ask("/certificate/revoke",
                                 {{"certificate", arguments.certificate},
                                  {"reason", revocation_reason_from(arguments.reason).value()}});
  if (arguments.control.json) {
    print_line(shown);
    return kDone;
  }
  std::cout << "revoked " << text_of(shown, "serial") << " (" << names_of(shown) << "); "
            << (control.server_runs() ? "its CRL is being made"
                                      : "its CRL is made when the server starts")
            << '\n';
  return kDone;
}

void add_list(CLI::App& noun, Command& chosen) {
  CLI::App* command = noun.add_subcommand("list", "List certificates, the newest first");
  command->footer(kListFooter);
  auto arguments = std::make_shared<ListArguments>();
  command->add_option("--name", arguments->name, "Those for this DNS name or address, exactly");
  command->add_option("--account", arguments->account, "Those of this account");
  command->add_option("--serial", arguments->serial, "The one with this serial number");
  auto* before = command->add_option("--expires-before", arguments->expires_before,
                                     "Those that end before: 2026-12-31 or 2026-12-31T12:00:00Z");
  command
      ->add_option("--expiring-within", arguments->expiring_within,
                   "Those that are not over and end within: 14d, 12h")
      ->excludes(before);
  command->add_flag("--revoked", arguments->revoked, "Those that are revoked");
  command->add_option("--limit", arguments->limit, "At most so many; 0: all")
      ->capture_default_str();
  add_control_options(*command, arguments->control);
  command->callback(
      [&chosen, arguments] { chosen = [arguments] { return run_list(*arguments); }; });
}

}  // namespace

void add_certificate(CLI::App& program, Command& chosen) {
  CLI::App* noun = program.add_subcommand("certificate", "List, show and revoke certificates");
  noun->require_subcommand(1);
  add_list(*noun, chosen);

  CLI::App* show = noun->add_subcommand("show", "Show one certificate and its chain");
  show->footer(kShowFooter);
  auto shown = std::make_shared<OneArguments>();
  show->add_option("certificate", shown->certificate, "Its id or serial number")->required();
  add_control_options(*show, shown->control);
  show->callback([&chosen, shown] { chosen = [shown] { return run_show(*shown); }; });

  CLI::App* revoke = noun->add_subcommand("revoke", "Revoke one certificate, for good");
  revoke->footer(kRevokeFooter);
  auto revoked = std::make_shared<OneArguments>();
  revoke->add_option("certificate", revoked->certificate, "Its id or serial number")->required();
  std::vector<std::string> reasons;
  for (const RevocationReason& reason : kRevocationReasons) {
    if (!reason.of_cas_alone) reasons.emplace_back(reason.name);
  }
  revoke->add_option("--reason", revoked->reason, "Why (RFC 5280 section 5.3.1)")
      ->check(CLI::IsMember(reasons))
      ->capture_default_str();
  add_control_options(*revoke, revoked->control);
  revoke->callback([&chosen, revoked] { chosen = [revoked] { return run_revoke(*revoked); }; });
}

}  // namespace gatehouse::app
