// Operators' commands: `gatehouse status`, and one noun each with its verbs.
//
// To add one: its route and handler in web/admin/admin.h; here `add_<noun>()`, called by
// add_commands(). A command asks() the installation (control.h) and prints: JSON as it came for
// --json, else lines for people. What the server refuses is CommandFailed, exit code 1.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"

namespace gatehouse::app {

void add_commands(CLI::App& program, Command& chosen);

void add_status(CLI::App& program, Command& chosen);
void add_certificate(CLI::App& program, Command& chosen);
void add_account(CLI::App& program, Command& chosen);
void add_order(CLI::App& program, Command& chosen);
void add_audit(CLI::App& program, Command& chosen);
void add_backup(CLI::App& program, Command& chosen);
void add_backend(CLI::App& program, Command& chosen);
void add_issuance(CLI::App& program, Command& chosen);

// For the commands' own files.

// Text at `name` of `object`; empty where it is missing or null. A number as its digits.
std::string text_of(const Json& object, std::string_view name);

// "2026-11-26T19:05:22Z" as "2026-11-26 19:05:22"; an empty text stays empty.
std::string time_of(const Json& object, std::string_view name);

// "a.test, *.b.test": the identifiers of a certificate or an order.
std::string names_of(const Json& object);
// The details of an audit event in brief: the problem's detail, otherwise name=value.
std::string details_of(const Json& event);
// What an audit event is about: the most specific object that it names.
std::string subject_of(const Json& event);

// "2026-12-31", midnight UTC, or RFC 3339. Throws std::runtime_error naming `option`.
Instant read_time(const std::string& option, const std::string& text);
// "14d", "12h", "30m", "90s". Likewise.
std::chrono::seconds read_span(const std::string& option, const std::string& text);

// One JSON document on a line of standard output.
void print_line(const Json& json);

// What a list prints as it comes: a table, or one JSON document a line.
class Listing {
 public:
  using Row = std::function<std::vector<std::string>(const Json&)>;

  using Wanted = std::function<bool(const Json&)>;

  // `limit` 0: no limit. Items that are not `wanted` are passed over.
  Listing(
      bool json, std::uint64_t limit, std::vector<std::string> titles, Row row,
      Wanted wanted = [](const Json&) { return true; })
      : json_(json),
        limit_(limit),
        table_(std::move(titles), terminal_width()),
        row_(std::move(row)),
        wanted_(std::move(wanted)) {}

  // False when no more is asked for.
  bool add(const Json& item);
  void finish();  // of a page

  // How many more are wanted, at most `most`.
  std::uint64_t wanted(std::uint64_t most) const;

 private:
  bool json_;
  std::uint64_t limit_;
  std::uint64_t count_ = 0;
  Table table_;
  Row row_;
  Wanted wanted_;
};

// Asks `path` page after page and gives `take` the items in `member` of each answer, until it
// returns false.
void for_each_item(Control& control, const std::string& path, Json query, const std::string& member,
                   const std::function<bool(const Json&)>& take);

// Asks `path` page after page, for the items in `member` of each answer, and prints them.
void list_pages(Control& control, const std::string& path, Json query, const std::string& member,
                Listing& listing);

}  // namespace gatehouse::app
