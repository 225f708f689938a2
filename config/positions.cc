#include "config/positions.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::config {

namespace {

// Reads text and counts what has been read: the parser tells its handler no position.
class CountingIterator final {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t& count) : at_(at), count_(&count) {}

  reference operator*() const { return *at_; }

  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }

  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }

  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  std::size_t* count_;
};

// Notes the line of each member's name and of each element's beginning.
class Handler final : public nlohmann::json_sax<Json> {
 public:
  Handler(std::string_view text, const std::size_t& read, std::map<std::string, std::size_t>& lines)
      : text_(text), read_(read), lines_(lines) {}

  bool null() override { return value(); }

  bool boolean(bool) override { return value(); }

  bool number_integer(number_integer_t) override { return value(); }

  bool number_unsigned(number_unsigned_t) override { return value(); }

  bool number_float(number_float_t, const string_t&) override { return value(); }

  bool string(string_t&) override { return value(); }

  bool binary(binary_t&) override { return false; }  // JSON text has none

  bool start_object(std::size_t) override { return open(false); }

  bool start_array(std::size_t) override { return open(true); }

  bool end_object() override { return close(); }

  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Frame& frame = frames_.back();
    frame.member = JsonObject(kNone, frame.path).path_of(name);
    lines_[frame.member] = line();
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  struct Frame {
    std::string path;
    bool is_array = false;
    std::size_t elements = 0;
    std::string member;  // path of the one that is being read, in an object
  };

  inline static const Json kNone = Json::object();

  // The path of the value that begins now.
  std::string begin_value() {
    if (frames_.empty()) return "";
    Frame& frame = frames_.back();
    if (!frame.is_array) return frame.member;
    std::string path = frame.path + "[" + std::to_string(frame.elements++) + "]";
    lines_[path] = line();
    return path;
  }

  bool value() {
    begin_value();
    return true;
  }

  bool open(bool is_array) {
    frames_.push_back({.path = begin_value(), .is_array = is_array, .elements = 0, .member = ""});
    return true;
  }

  bool close() {
    frames_.pop_back();
    return true;
  }

  // Of the token that was read last. Its last octet does not count: behind a number the parser has
  // read one more, which may be the end of the line.
  std::size_t line() {
    const std::size_t end = read_ - std::min<std::size_t>(read_, 1);
    line_ +=
        static_cast<std::size_t>(std::ranges::count(text_.substr(counted_, end - counted_), '\n'));
    counted_ = end;
    return line_;
  }

  std::string_view text_;
  const std::size_t& read_;
  std::map<std::string, std::size_t>& lines_;
  std::vector<Frame> frames_;
  std::size_t counted_ = 0, line_ = 1;
};

bool is_set_over(const std::string& path, const std::vector<std::string>& settings) {
  return std::ranges::any_of(settings, [&](const std::string& setting) {
    return is_about(path, std::string_view(setting).substr(0, setting.find('=')));
  });
}

}  // namespace

bool is_about(std::string_view message, std::string_view path) {
  if (path.empty() || !message.starts_with(path)) return false;
  return message.size() == path.size() ||
         std::string_view(":.[ ,").find(message[path.size()]) != std::string_view::npos;
}

Positions::Positions(std::string_view text) {
  std::size_t read = 0;
  Handler handler(text, read, lines_);
  const CountingIterator begin(text.data(), read);
  const CountingIterator end(text.data() + text.size(), read);
  // What is wrong with the text was told by parse_json(); the lines before it are good.
  static_cast<void>(Json::sax_parse(begin, end, &handler, Json::input_format_t::json, true, true));
}

std::optional<std::size_t> Positions::line_of(std::string_view message,
                                              const std::vector<std::string>& settings) const {
  const std::pair<const std::string, std::size_t>* found = nullptr;
  for (const auto& place : lines_) {
    const bool longer = found == nullptr || place.first.size() > found->first.size();
    if (longer && is_about(message, place.first)) found = &place;
  }
  const bool over = is_set_over(std::string(message), settings);
  return found == nullptr || over ? std::nullopt : std::optional(found->second);
}

std::string tell(const std::string& file, const std::string& message,
                 std::optional<std::size_t> line) {
  return std::filesystem::path(file).filename().string() + ": " + message +
         (line ? " (line " + std::to_string(*line) + ")" : "");
}

}  // namespace gatehouse::config
