#include "acme-server/store/state.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {

std::optional<std::string> State::get(std::string_view name) {
  const std::vector<sql::Row> rows =
      connection_.query("SELECT value FROM state WHERE name = $1", params(name));
  return rows.empty() ? std::nullopt : std::optional(rows.front().text(0));
}

void State::set(std::string_view name, std::string_view value) {
  connection_.execute(
      "INSERT INTO state (name, value) VALUES ($1, $2) "
      "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      params(name, value));
}

void State::remove(std::string_view name) {
  connection_.execute("DELETE FROM state WHERE name = $1", params(name));
}

}  // namespace gatehouse::store
