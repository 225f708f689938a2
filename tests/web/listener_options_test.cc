#include "acme-server/web/listener_options.h"

#include <doctest/doctest.h>

#include <set>
#include <string_view>

namespace gatehouse::web {
namespace {

TEST_CASE("only operators may call the control listener, anyone the others") {
  for (const ListenerRow& row : kListeners) {
    CAPTURE(row.name);
    CHECK((row.callers == Callers::operators) == (row.kind == ListenerKind::control));
  }
}

TEST_CASE("a listener is found by its own name and no other") {
  std::set<std::string_view> names;
  for (const ListenerRow& row : kListeners) {
    CHECK(find_listener(row.name) == &row);
    CHECK(&listener_row(row.kind) == &row);
    CHECK(names.insert(row.name).second);
  }
  CHECK(find_listener("") == nullptr);
  CHECK(find_listener("acme.0") == nullptr);
  CHECK(find_listener("Control") == nullptr);
}

}  // namespace
}  // namespace gatehouse::web
