#include "validators/caa_value.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/ascii.h"
#include "acme-server/base/text.h"

namespace gatehouse::validators {

namespace {

// label = (ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT)); tags of parameters are of the same form.
bool is_label(std::string_view text) {
  return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

// issuer-domain-name = label *("." label)
bool is_domain(std::string_view text) {
  return std::ranges::all_of(split(text, '.'), is_label);
}

// value = *(%x21-3A / %x3C-7E): visible, and no semicolon.
bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_visible(c) && c != ';'; });
}

// parameter = tag *WSP "=" *WSP value
std::optional<IssueParameter> parse_parameter(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view tag = trim_blanks(text.substr(0, equals));
  const std::string_view value = trim_blanks(text.substr(equals + 1));
  if (!is_label(tag) || !is_value(value)) return std::nullopt;
  return IssueParameter{.tag = std::string(tag), .value = std::string(value)};
}

}  // namespace

std::optional<IssueValue> parse_issue_value(std::string_view text) {
  const std::size_t semicolon = text.find(';');
  const std::string_view domain = trim_blanks(text.substr(0, semicolon));
  if (!domain.empty() && !is_domain(domain)) return std::nullopt;
  IssueValue value{.issuer_domain = std::string(domain), .parameters = {}};
  if (semicolon == std::string_view::npos) return value;
  const std::string_view rest = text.substr(semicolon + 1);
  if (trim_blanks(rest).empty()) return value;
  // A semicolon stands between parameters, never behind the last one.
  for (const std::string_view part : split(rest, ';')) {
    auto parameter = parse_parameter(trim_blanks(part));
    if (!parameter) return std::nullopt;
    value.parameters.push_back(std::move(*parameter));
  }
  return value;
}

bool names_method(std::string_view value, std::string_view method) {
  // value = [*(label ",") label]; label = 1*(ALPHA / DIGIT / "-")
  const auto labels = split(value, ',');
  const bool follows = std::ranges::all_of(labels, [](std::string_view label) {
    return !label.empty() &&
           std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; });
  });
  return follows && std::ranges::find(labels, method) != labels.end();
}

}  // namespace gatehouse::validators
