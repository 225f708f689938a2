// The kinds of listeners there are: one row says what each is called, who may call it and on which
// lane it is answered. The config, the host and the handler read this table.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace gatehouse::web {

// The name of each: what Request::listener says, in logs and metrics too.
inline constexpr std::string_view kAcmeListener = "acme";
inline constexpr std::string_view kPublicListener = "public";
inline constexpr std::string_view kOperationsListener = "operations";
inline constexpr std::string_view kControlListener = "control";

enum class ListenerKind { acme, public_files, operations, control };

// Operators: processes of root and of the server's own user, by their uid at accept.
enum class Callers { anyone, operators };

struct ListenerRow {
  ListenerKind kind;
  std::string_view name;
  std::string_view config_key;
  std::string_view unrouted;  // the route in metrics of what no pattern tells apart
  Callers callers = Callers::anyone;
};

// In the order of the enumerators.
inline constexpr std::array<ListenerRow, 4> kListeners = {{
    {ListenerKind::acme, kAcmeListener, "listeners.acme", "none"},
    {ListenerKind::public_files, kPublicListener, "listeners.public", "file"},
    {ListenerKind::operations, kOperationsListener, "listeners.operations", "page"},
    {ListenerKind::control, kControlListener, "control.socket", "command", Callers::operators},
}};
static_assert(std::ranges::all_of(kListeners, [](const ListenerRow& row) {
  return &row == &kListeners.at(static_cast<std::size_t>(row.kind));
}));

constexpr const ListenerRow& listener_row(ListenerKind kind) {
  return kListeners.at(static_cast<std::size_t>(kind));
}

// The row of a name; nullptr when no listener is called that.
constexpr const ListenerRow* find_listener(std::string_view name) {
  const auto* const row = std::ranges::find(kListeners, name, &ListenerRow::name);
  return row == kListeners.end() ? nullptr : row;
}

}  // namespace gatehouse::web
