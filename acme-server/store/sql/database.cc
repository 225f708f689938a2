#include "acme-server/store/sql/database.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/check.h"

namespace gatehouse::sql {

const Row::Column& Row::at(std::size_t column, Type type) const {
  ACME_CHECK(column < columns_.size());
  ACME_CHECK(columns_[column].type == type);
  return columns_[column];
}

std::string_view Row::view(std::size_t column) const {
  const Column& text = at(column, Type::text);
  return std::string_view(texts_).substr(text.begin, static_cast<std::size_t>(text.integer));
}

std::int64_t Row::integer(std::size_t column) const {
  return at(column, Type::integer).integer;
}

bool Row::is_null(std::size_t column) const {
  ACME_CHECK(column < columns_.size());
  return columns_[column].type == Type::null;
}

std::optional<std::string> Row::optional_text(std::size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

std::optional<std::int64_t> Row::optional_integer(std::size_t column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}

}  // namespace gatehouse::sql
