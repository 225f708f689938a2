// Tables for people: columns as wide as their widest cell, two blanks apart.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::app {

// Columns of the terminal on standard output; 0 when it is a pipe or a file, whose lines are whole.
std::size_t terminal_width();

// Prints rows as they come, page by page: the first page sets the widths, later ones widen them.
class Table {
 public:
  // Lines are cut to `width` columns, the last one a "…"; 0: they are not.
  explicit Table(std::vector<std::string> titles, std::size_t width = 0);

  void add(std::vector<std::string> row);

  // What was added since the last call, as lines; the titles before the first of all.
  std::string take_page();

  std::size_t rows() const { return rows_; }

 private:
  std::size_t width_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> page_;
  std::size_t rows_ = 0;
};

// Lines of "name  value", the values below one another.
std::string print_fields(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace gatehouse::app
