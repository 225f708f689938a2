// ASCII text helpers. No locale anywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);                             // blanks, tabs, CR, LF
std::vector<std::string_view> split(std::string_view text, char at);      // "a,,b" gives three; "" gives one
std::string join(const std::vector<std::string>& parts, std::string_view between);

bool is_utf8(std::string_view text);

// A sample of bytes from outside, fit for a problem's detail or a log: valid UTF-8, control characters and what is
// not UTF-8 as \xNN, quotes escaped, at most `limit` characters of output, "…" where it was cut.
std::string sanitize(std::string_view text, std::size_t limit);

}  // namespace gatehouse
