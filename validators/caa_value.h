// The value of an issue or issuewild record: RFC 8659 section 4.2, and what RFC 8657 puts into it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::validators {

struct IssueParameter {
  std::string tag;  // as written: compare without case
  std::string value;

  friend bool operator==(const IssueParameter&, const IssueParameter&) = default;
};

struct IssueValue {
  std::string issuer_domain;               // as written: compare without case; empty: nobody
  std::vector<IssueParameter> parameters;  // in their order, repeats among them

  friend bool operator==(const IssueValue&, const IssueValue&) = default;
};

// Nothing when `text` does not follow the grammar: such a record permits nobody. Linear in `text`,
// whose octets are a stranger's.
std::optional<IssueValue> parse_issue_value(std::string_view text);

// Whether `value` is a list of methods as RFC 8657 section 4 writes it that names `method`. An
// empty list and one that does not follow the grammar name nothing.
bool names_method(std::string_view value, std::string_view method);

}  // namespace gatehouse::validators
