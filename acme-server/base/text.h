// ASCII text helpers. No locale anywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
// Without the blanks, tabs, CRs and LFs at both ends.
std::string_view trim(std::string_view text);
// "a,,b" gives three parts, "" gives one. They are views of `text`.
std::vector<std::string_view> split(std::string_view text, char at);
std::string join(const std::vector<std::string>& parts, std::string_view between);

bool is_utf8(std::string_view text);

// A sample of bytes from outside, fit for a problem's detail or a log: valid UTF-8; control
// characters (invisible ones and marks of writing direction too) and what is not UTF-8 as \xNN per
// octet; quotes and backslashes behind a backslash; at most `limit` characters (code points) of
// output, the last of them "…" where it was cut.
std::string sanitize(std::string_view text, std::size_t limit);

}  // namespace gatehouse
