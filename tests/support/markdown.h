// The project's documents as a reader sees them: headings, links, code.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/text.h"
#include "tests/support/paths.h"

namespace gatehouse::testing {

// A piece of a document, and the line that it begins in.
struct Passage {
  std::size_t line = 0;
  std::string text = {};
  std::string language = {};  // of a code block; "" where it says none
};

struct MarkdownDocument {
  std::string path = {};        // below the source directory
  std::vector<Passage> blocks;  // of code, fenced or indented
  std::vector<Passage> spans;   // of code, within sentences
  std::vector<Passage> links;   // their targets
  std::set<std::string> anchors;
};

// The anchor that a heading gets: lower case, blanks as hyphens, without punctuation.
inline std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto octet = static_cast<unsigned char>(c);
    if (std::isalnum(octet) != 0 || c == '-' || c == '_' || octet >= 0x80) {
      anchor += static_cast<char>(std::tolower(octet));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

namespace markdown_detail {

inline void add_heading(std::string_view line, MarkdownDocument& document) {
  const std::string anchor = anchor_of(trim(line.substr(line.find_first_not_of('#'))));
  std::string unique = anchor;
  for (int n = 1; !document.anchors.insert(unique).second; ++n) {
    unique = anchor + "-" + std::to_string(n);
  }
}

// Takes the code spans of a line out of it, since no link is within one.
inline std::string take_spans(std::string_view line, std::size_t number,
                              MarkdownDocument& document) {
  std::string rest;
  std::size_t at = 0;
  for (std::size_t begin = 0; (begin = line.find('`', at)) != std::string_view::npos;) {
    const std::size_t end = line.find('`', begin + 1);
    if (end == std::string_view::npos) break;
    document.spans.push_back(
        {.line = number, .text = std::string(line.substr(begin + 1, end - begin - 1))});
    rest += line.substr(at, begin - at);
    at = end + 1;
  }
  return rest += line.substr(at);
}

inline void add_links(const std::string& line, std::size_t number, MarkdownDocument& document) {
  static const std::regex kLink(R"(\]\(([^)\s]+)\))");
  for (std::sregex_iterator it(line.begin(), line.end(), kLink), end; it != end; ++it) {
    document.links.push_back({.line = number, .text = (*it)[1]});
  }
}

}  // namespace markdown_detail

inline MarkdownDocument parse_markdown(std::string path, std::string_view text) {
  MarkdownDocument document{
      .path = std::move(path), .blocks = {}, .spans = {}, .links = {}, .anchors = {}};
  bool fenced = false;
  bool indented = false;
  bool after_blank = true;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    const bool blank = trim(line).empty();
    if (line.starts_with("```")) {
      fenced = !fenced;
      if (fenced) {
        document.blocks.push_back(
            {.line = number + 1, .text = {}, .language = std::string(line.substr(3))});
      }
    } else if (fenced) {
      document.blocks.back().text += std::string(line) + "\n";
    } else if (line.starts_with("    ") && (indented || after_blank)) {
      if (!indented) document.blocks.push_back({.line = number});
      document.blocks.back().text += std::string(line.substr(4)) + "\n";
      indented = true;
    } else {
      indented = false;
      if (line.starts_with("#")) markdown_detail::add_heading(line, document);
      const std::string rest = markdown_detail::take_spans(line, number, document);
      markdown_detail::add_links(rest, number, document);
    }
    after_blank = blank;
  }
  return document;
}

// Every document of the project.
inline std::vector<MarkdownDocument> read_documents() {
  namespace fs = std::filesystem;
  const fs::path root = source_directory();
  std::vector<std::string> paths = {
      "README.md",   "ARCHITECTURE.md",       "CONTRIBUTING.md",
      "SECURITY.md", "ca-backends/README.md", "conformance/README.md"};
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") {
      paths.push_back(entry.path().lexically_relative(root).string());
    }
  }
  std::ranges::sort(paths);
  std::vector<MarkdownDocument> documents;
  for (const std::string& path : paths) {
    documents.push_back(parse_markdown(path, read_file((root / path).string())));
  }
  return documents;
}

}  // namespace gatehouse::testing
