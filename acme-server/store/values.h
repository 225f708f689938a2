// Our values as parameters and columns: what the table classes share. Private to the store.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/strong_id.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// A view: the values of a statement are made where it is run, of what is there.
inline sql::Value to_value(std::string_view text) {
  return text;
}

inline sql::Value to_value(Instant instant) {
  return to_unix(instant);
}

template <std::integral Number>
sql::Value to_value(Number number) {
  return sql::value_of(number);
}

template <class Tag>
sql::Value to_value(const StrongId<Tag>& id) {
  return std::string_view(id.str());
}

template <class T>
sql::Value to_value(const std::optional<T>& value) {
  return value ? to_value(*value) : sql::null();
}

// $1, $2… of a statement. Texts are not copied: an argument of the call that runs the statement,
// and nothing to keep.
template <class... T>
std::array<sql::Value, sizeof...(T)> params(const T&... values) {
  return {to_value(values)...};
}

inline Instant instant_at(const sql::Row& row, std::size_t column) {
  return from_unix(row.integer(column));
}

inline std::optional<Instant> optional_instant_at(const sql::Row& row, std::size_t column) {
  return row.is_null(column) ? std::nullopt : std::optional(instant_at(row, column));
}

template <class Id>
std::optional<Id> optional_id_at(const sql::Row& row, std::size_t column) {
  return row.is_null(column) ? std::nullopt : std::optional(Id(row.text(column)));
}

// How a problem stands in the store: its JSON text.
std::optional<std::string> problem_text(const std::optional<Problem>& problem);
std::optional<Problem> optional_problem_at(const sql::Row& row, std::size_t column);

// Reads a type and, in the column behind it, a value.
Identifier identifier_at(const sql::Row& row, std::size_t column);

// A row holds a text that this version does not know: somebody else, or a newer version, wrote it.
[[noreturn]] void unknown_text(std::string_view what, const std::string& text);

// `value`, or unknown_text() when the reader of an enum knew nothing of `text`.
template <class T>
T known(std::string_view what, const std::string& text, const std::optional<T>& value) {
  if (!value) {
    unknown_text(what, text);
  }
  return *value;
}

}  // namespace gatehouse::store
