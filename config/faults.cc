#include "config/faults.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "config/positions.h"
#include "config/read_config.h"

namespace gatehouse::config {

namespace {

// Reading goes on with it where base_url, the one option that must be there, is wrong.
constexpr const char* kBaseUrl = "base_url";
constexpr const char* kAnyBaseUrl = "https://gatehouse.invalid";
// Each may have the whole config read again.
constexpr std::size_t kMaxWarnings = 20;

// A member of an object in a document.
struct Place {
  Json* object = nullptr;
  std::string name;
  std::string path;    // as messages have it
  std::string parent;  // the object's
};

// The innermost member that `message` is about, in `node` called `path`. Where an element of an
// array is wrong as a whole it is the array: the paths of the elements behind it would change.
void find_place(Json& node, const std::string& path, std::string_view message, Place& found) {
  if (node.is_array()) {
    for (std::size_t i = 0; i < node.size(); ++i) {
      const std::string element = path + "[" + std::to_string(i) + "]";
      if (is_about(message, element)) find_place(node[i], element, message, found);
    }
  }
  if (!node.is_object()) return;
  for (const auto& item : node.items()) {
    const std::string member = JsonObject(node, path).path_of(item.key());
    if (!is_about(message, member)) continue;
    if (member.size() > found.path.size()) {
      found = {.object = &node, .name = item.key(), .path = member, .parent = path};
    }
    find_place(item.value(), member, message, found);
  }
}

// Whether `word` stands in `text`, not as a part of a longer word.
bool has_word(std::string_view text, std::string_view word) {
  const auto is_letter = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_letter(text[at - 1])) && (end == text.size() || !is_letter(text[end]))) {
      return true;
    }
  }
  return false;
}

// Whether `message` may hold only since `removed` was left out: it is about that option, about the
// object that lacks it now, or names it as what it was compared with.
bool follows_from(std::string_view message, const Place& removed) {
  if (is_about(message, removed.path)) return true;
  if (message.find(" is not a known option") != std::string_view::npos) return false;
  if (message.find('"' + removed.name + '"') != std::string_view::npos) return true;
  const std::size_t colon = message.find(": ");
  const std::string_view subject = message.substr(0, colon);
  if (is_about(removed.path, subject)) return true;
  const bool inside = removed.parent.empty() || is_about(message, removed.parent);
  return inside && colon != std::string_view::npos && has_word(message.substr(colon), removed.name);
}

struct Fault {
  std::size_t line = 0;
  std::string text;
};

// Each with its line, in the order of the file; those without a line come last.
std::vector<std::string> in_order(const std::vector<std::string>& messages,
                                  const Positions& positions, const std::string& file,
                                  const std::vector<std::string>& settings) {
  std::vector<Fault> faults;
  for (const std::string& message : messages) {
    const auto line = positions.line_of(message, settings);
    faults.push_back({.line = line.value_or(std::numeric_limits<std::size_t>::max()),
                      .text = tell(file, message, line)});
  }
  std::ranges::stable_sort(faults, {}, &Fault::line);
  std::vector<std::string> texts;
  for (Fault& fault : faults) texts.push_back(std::move(fault.text));
  return texts;
}

// "1m 30s", of whole seconds.
std::string spell_seconds(std::int64_t count) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {
      {86'400, "d"}, {3'600, "h"}, {60, "m"}, {1, "s"}};
  std::string text;
  for (const auto& [unit, letter] : kUnits) {
    if (count < unit) continue;
    text += (text.empty() ? "" : " ") + std::to_string(count / unit) + letter;
    count %= unit;
  }
  return text.empty() ? "0s" : text;
}

bool is_readable(const Json& document, const std::string& file) {
  try {
    read_config(document, file);
    return true;
  } catch (const JsonError&) {
    return false;
  }
}

// Whether the option whose value is `value`, in `document`, takes `text` in its place.
bool takes(Json& document, Json& value, const std::string& text, const std::string& file) {
  Json before = std::exchange(value, Json(text));
  const bool taken = is_readable(document, file);
  value = std::move(before);
  return taken;
}

// Asks the readers themselves which numbers are durations, so that no list of them can be out of
// date: a duration is what may be a number and a number with a unit.
class NumberWarnings final {
 public:
  NumberWarnings(Json document, std::string file)
      : document_(std::move(document)), file_(std::move(file)) {}

  std::vector<std::string> take() {
    for (const auto& item : document_.items()) {
      // Read by other modules, where a duration has a unit.
      const bool elsewhere = item.key() == "validators" || item.key() == "backends";
      if (!elsewhere && item.value().is_object()) visit(item.value(), item.key(), item.key());
    }
    return std::move(warnings_);
  }

 private:
  // `kind` is the path with a star for the names of profiles and directories: what is true of one
  // is true of all, and is asked once.
  void visit(Json& node, const std::string& path, const std::string& kind) {
    const bool named = kind.ends_with("profiles") || kind.ends_with("directories");
    for (const auto& item : node.items()) {
      Json& value = item.value();
      const std::string member = JsonObject(node, path).path_of(item.key());
      const std::string member_kind = kind + "." + (named ? "*" : item.key());
      if (value.is_object()) visit(value, member, member_kind);
      if (value.is_number_integer() && value != 0) warn_of(value, member, member_kind);
    }
  }

  void warn_of(Json& value, const std::string& member, const std::string& kind) {
    if (warnings_.size() == kMaxWarnings) return;
    const std::string number = print_json(value);
    const auto [known, is_new] = durations_.try_emplace(kind, false);
    if (is_new) known->second = takes(document_, value, number + "s", file_);
    if (!known->second) return;
    const bool days = takes(document_, value, number + "d", file_);
    warnings_.push_back(member + ": " + number + " is taken as seconds (" +
                        spell_seconds(value.get<std::int64_t>()) + "); write \"" + number +
                        (days ? "d\" if days are meant" : "s\" to say so"));
  }

  Json document_;
  std::string file_;
  std::map<std::string, bool> durations_;
  std::vector<std::string> warnings_;
};

}  // namespace

CollectedFaults collect_faults(Json document, const ReadDocument& read) {
  CollectedFaults faults{.messages = {}, .rest = std::move(document), .readable = false};
  std::vector<Place> removed;
  for (;;) {
    std::string message;
    try {
      read(faults.rest);
      faults.readable = true;
      return faults;
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    const bool follows = std::ranges::any_of(
        removed, [&](const Place& place) { return follows_from(message, place); });
    if (!follows) faults.messages.push_back(message);
    Place place;
    find_place(faults.rest, "", message, place);
    if (is_about(message, kBaseUrl) && faults.rest.value(kBaseUrl, Json()) != kAnyBaseUrl) {
      faults.rest[kBaseUrl] = kAnyBaseUrl;
      continue;
    }
    if (place.object == nullptr) return faults;
    place.object->erase(place.name);  // one less each time: this ends
    removed.push_back(std::move(place));
  }
}

std::vector<std::string> faults_of_file(const std::string& path,
                                        const std::vector<std::string>& settings,
                                        const CheckParts& check) {
  const std::string text = read_text(path);
  const Positions positions(text);
  try {
    CollectedFaults faults = collect_faults(
        read_document(text, settings), [&](const Json& document) { read_config(document, path); });
    if (faults.readable) {
      for (std::string& message : check(read_config(faults.rest, path))) {
        faults.messages.push_back(std::move(message));
      }
    }
    return in_order(faults.messages, positions, path, settings);
  } catch (const JsonError& error) {
    throw JsonError(tell(path, error.what(), positions.line_of(error.what(), {})));
  }
}

std::vector<std::string> warnings_of(const Config& config) {
  return in_order(NumberWarnings(config.document, config.file).take(), Positions(config.text),
                  config.file, config.settings);
}

}  // namespace gatehouse::config
