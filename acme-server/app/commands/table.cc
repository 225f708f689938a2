#include "acme-server/app/commands/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::app {

namespace {

// Characters as a terminal shows them: octets that continue a UTF-8 sequence take no place.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Text from the database must not control the terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if ((octet < 0x20 && c != '\n') || octet == 0x7F) c = '?';
  }
  return text;
}

// Its first `width` columns, the last one a "…" when there are more; 0: all.
std::string cut(const std::string& line, std::size_t width) {
  if (width == 0 || width_of(line) <= width) return line;
  std::size_t end = 0;
  for (std::size_t columns = 0; end < line.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(line[end]) & 0xC0) != 0x80;
    if (begins && ++columns == width) break;
  }
  return line.substr(0, end) + "…";
}

}  // namespace

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

Table::Table(std::vector<std::string> titles, std::size_t width)
    : width_(width), widths_(titles.size(), 0) {
  page_.push_back(std::move(titles));
}

void Table::add(std::vector<std::string> row) {
  row.resize(widths_.size());
  for (std::string& cell : row) {
    cell = printable(std::move(cell));
    std::ranges::replace(cell, '\n', ' ');
  }
  page_.push_back(std::move(row));
  ++rows_;
}

std::string Table::take_page() {
  for (const auto& row : page_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths_[i] = std::max(widths_[i], width_of(row[i]));
    }
  }
  std::string text;
  for (const auto& row : page_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths_[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += cut(line, width_) + "\n";
  }
  page_.clear();
  return text;
}

std::string print_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, width_of(name));
  std::string text;
  for (const auto& [name, value] : fields) {
    const std::size_t indent = width + 2;
    text += name;
    text.append(indent - width_of(name), ' ');
    for (const char c : printable(value)) {
      text += c;
      if (c == '\n') text.append(indent, ' ');
    }
    text += "\n";
  }
  return text;
}

}  // namespace gatehouse::app
