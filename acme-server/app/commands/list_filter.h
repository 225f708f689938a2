// Which items of a list are wanted. The command filters by itself what no index of the database
// serves, page after page; --limit counts what is left.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <set>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"

namespace gatehouse::app {

struct ListArguments {
  std::string name = {}, suffix = {}, profile = {}, since = {}, until = {};
};

// What the items of a list have.
enum class ListHas { times, names_and_times };

// --since and --until; --name, --suffix and --profile where items have names. Options that the
// command has already, such as a --since that the server filters by, stay the command's.
void add_filter_options(CLI::App& command, ListArguments& arguments, ListHas has);

class ListFilter final {
 public:
  // `time`: the member that --since and --until look at. Throws std::runtime_error naming the
  // option.
  ListFilter(const ListArguments& arguments, std::string time);

  // `item` as the server gives it, or an audit event, whose details have names and profile.
  bool wants(const Json& item) const;

 private:
  bool wants_names_of(const Json& item) const;

  std::string name_, suffix_, profile_, time_;
  std::optional<Instant> since_, until_;
};

// Tells a certificate that was replaced from the last of its lineage: the certificates of one
// account for exactly the same names.
class Lineages final {
 public:
  // Certificates are shown newest first. True when a newer one that is not revoked has been seen.
  bool was_renewed(const Json& certificate);

 private:
  std::set<std::string> seen_;
};

}  // namespace gatehouse::app
