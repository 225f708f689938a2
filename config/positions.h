// Where in the text of the config file an option stands.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

// Whether `message` is about the option at `path` or one below it: "a.b: is empty" is about "a.b"
// and "a". An empty path is about nothing.
bool is_about(std::string_view message, std::string_view path);

// The lines of a config's members and elements, by their paths as messages spell them:
// "listeners.acme[0].port". Of text that is not valid JSON, those before the mistake.
class Positions final {
 public:
  explicit Positions(std::string_view text);

  // The line, from 1, of what `message` is about. Where that is missing, of the innermost object
  // that should have it. Nothing for a message about no option, and for one about a value that
  // `settings` (as in Config::settings) have put over the file's.
  std::optional<std::size_t> line_of(std::string_view message,
                                     const std::vector<std::string>& settings) const;

 private:
  std::map<std::string, std::size_t> lines_;
};

// Every message about a config: "gatehouse.json: threads.http: 0 is not an integer in 1..64 (line
// 12)", without the end where no line is known.
std::string tell(const std::string& file, const std::string& message,
                 std::optional<std::size_t> line);

}  // namespace gatehouse::config
