#include "acme-server/store/sql/database.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "acme-server/base/check.h"

namespace gatehouse::sql {

const std::string& Row::text(std::size_t column) const {
  ACME_CHECK(column < columns_.size());
  const auto* text = std::get_if<std::string>(&columns_[column]);
  ACME_CHECK(text != nullptr);
  return *text;
}

std::int64_t Row::integer(std::size_t column) const {
  ACME_CHECK(column < columns_.size());
  const auto* integer = std::get_if<std::int64_t>(&columns_[column]);
  ACME_CHECK(integer != nullptr);
  return *integer;
}

bool Row::is_null(std::size_t column) const {
  ACME_CHECK(column < columns_.size());
  return std::holds_alternative<std::monostate>(columns_[column]);
}

std::optional<std::string> Row::optional_text(std::size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

std::optional<std::int64_t> Row::optional_integer(std::size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}

}  // namespace gatehouse::sql
