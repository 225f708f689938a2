#include "acme-server/store/values.h"

#include <cstddef>
#include <optional>
#include <string>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {
namespace {

constexpr std::size_t kSample = 40;  // of a text in a message

}  // namespace

std::optional<std::string> problem_text(const std::optional<Problem>& problem) {
  return problem ? std::optional(print_json(to_json(*problem))) : std::nullopt;
}

std::optional<Problem> optional_problem_at(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) {
    return std::nullopt;
  }
  return problem_from_json(parse_json(row.text(column)));
}

Identifier identifier_at(const sql::Row& row, std::size_t column) {
  const std::string& type = row.text(column);
  for (const IdentifierType candidate : {IdentifierType::dns, IdentifierType::ip}) {
    if (type == to_string(candidate)) {
      return Identifier{candidate, row.text(column + 1)};
    }
  }
  unknown_text("identifier type", type);
}

void unknown_text(std::string_view what, const std::string& text) {
  throw sql::DatabaseError("the database holds the " + std::string(what) + " \"" +
                           sanitize(text, kSample) + "\", which this program does not know");
}

}  // namespace gatehouse::store
