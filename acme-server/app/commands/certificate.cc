// `gatehouse certificate list | show | revoke`.
#include <CLI/App.hpp>
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/list_filter.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/revocation_reason.h"

namespace gatehouse::app {

namespace {

constexpr const char* kListFooter =
    "DESCRIPTION\n"
    "  Lists certificates, the newest first; by their end where that is asked for. Filters narrow\n"
    "  together. Every certificate that was ever issued is looked at, a page at a time; with "
    "--json\n"
    "  each is one line. A certificate is renewed when its account has a newer one for exactly "
    "the\n"
    "  same names that is not revoked.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse certificate list --name www.corp.example\n"
    "  gatehouse certificate list --expiring-within 14d --not-renewed\n"
    "  gatehouse certificate list --suffix corp.example --profile default --since 2026-11-01\n"
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

struct CertificateArguments {
  ControlOptions control;
  ListArguments filter;
  std::string account, serial, expires_before, expiring_within;
  bool revoked = false, not_renewed = false;
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

// When a certificate must end to be listed.
struct Ends {
  std::optional<Instant> from, before;

  bool fits(const Json& certificate) const {
    const auto end = from_rfc3339(text_of(certificate, "not_after"));
    return end && (!from || *end >= *from) && (!before || *end < *before);
  }
};

Ends ends_of(const CertificateArguments& arguments) {
  Ends ends;
  if (!arguments.expires_before.empty()) {
    ends.before = read_time("--expires-before", arguments.expires_before);
  }
  if (!arguments.expiring_within.empty()) {
    ends.from = SystemClock().now();
    ends.before = *ends.from + read_span("--expiring-within", arguments.expiring_within);
  }
  return ends;
}

// What the server filters by. `ends` stays out when renewals count: a newer certificate ends later.
Json query_of(const CertificateArguments& arguments, const Ends& ends) {
  Json query = Json::object();
  if (!arguments.filter.name.empty()) query["name"] = arguments.filter.name;
  if (!arguments.account.empty()) query["account"] = arguments.account;
  if (arguments.revoked) query["revoked"] = true;
  if (arguments.not_renewed) return query;
  if (ends.from) query["ends_at_or_after"] = to_rfc3339(*ends.from);
  if (ends.before) query["ends_before"] = to_rfc3339(*ends.before);
  return query;
}

// Those that end first come first, so all of them are read before any is printed.
void list_by_end(Control& control, const CertificateArguments& arguments, const Ends& ends,
                 const ListFilter& filter, Listing& listing) {
  std::vector<Json> found;
  Lineages lineages;
  for_each_item(control, "/certificate/list", query_of(arguments, ends), "certificates",
                [&](const Json& certificate) {
                  if (arguments.not_renewed && lineages.was_renewed(certificate)) return true;
                  if (ends.fits(certificate) && filter.wants(certificate)) {
                    found.push_back(certificate);
                  }
                  return true;
                });
  std::ranges::stable_sort(
      found, {}, [](const Json& certificate) { return text_of(certificate, "not_after"); });
  for (const Json& certificate : found) {
    if (!listing.add(certificate)) break;
  }
  listing.finish();
}

int run_list(const CertificateArguments& arguments) {
  const ListFilter filter(arguments.filter, "issued");
  const Ends ends = ends_of(arguments);
  Control control(arguments.control);
  Listing listing(arguments.control.json, arguments.limit,
                  {"SERIAL", "STATUS", "ENDS", "ACCOUNT", "NAMES"}, row_of,
                  [&](const Json& certificate) { return filter.wants(certificate); });
  if (!arguments.serial.empty()) {
    listing.add(control.ask("/certificate/show", {{"certificate", arguments.serial}}));
    listing.finish();
  } else if (ends.before || arguments.not_renewed) {
    list_by_end(control, arguments, ends, filter, listing);
  } else {
    list_pages(control, "/certificate/list", query_of(arguments, ends), "certificates", listing);
  }
  return kDone;
}

void print_certificate(const Json& certificate) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"certificate", text_of(certificate, "id")},
      {"status", text_of(certificate, "status")},
      {"serial", text_of(certificate, "serial")},
      {"names", names_of(certificate)},
      {"profile", text_of(certificate, "profile")},
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
  auto arguments = std::make_shared<CertificateArguments>();
  add_filter_options(*command, arguments->filter, ListHas::names_and_times);
  command->add_option("--account", arguments->account, "Those of this account");
  command->add_option("--serial", arguments->serial, "The one with this serial number");
  auto* before = command->add_option("--expires-before", arguments->expires_before,
                                     "Those that end before: 2026-12-31 or 2026-12-31T12:00:00Z");
  command
      ->add_option("--expiring-within", arguments->expiring_within,
                   "Those that are not over and end within: 14d, 12h")
      ->excludes(before);
  auto* revoked = command->add_flag("--revoked", arguments->revoked, "Those that are revoked");
  command
      ->add_flag("--not-renewed", arguments->not_renewed,
                 "Leave out those whose account has a newer one for the same names")
      ->excludes(revoked);
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
  takes_one_of(revoke->add_option("--reason", revoked->reason, "Why (RFC 5280 section 5.3.1)"),
               reasons)
      ->capture_default_str();
  add_control_options(*revoke, revoked->control);
  revoke->callback([&chosen, revoked] { chosen = [revoked] { return run_revoke(*revoked); }; });
}

}  // namespace gatehouse::app
