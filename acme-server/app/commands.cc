#include "acme-server/app/commands.h"

#include <iostream>

#include "acme-server/base/json.h"

namespace gatehouse::app {

void add_commands(CLI::App& program, Command& chosen) {
  add_status(program, chosen);
  add_backup(program, chosen);
  add_issuance(program, chosen);
}

std::string text_of(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : print_json(*found);
}

std::string time_of(const Json& object, std::string_view name) {
  std::string text = text_of(object, name);
  if (const auto t = text.find('T'); t != std::string::npos) text[t] = ' ';
  if (text.ends_with('Z')) text.pop_back();
  return text;
}

void print_line(const Json& json) {
  std::cout << print_json(json) << '\n';
}

}  // namespace gatehouse::app
