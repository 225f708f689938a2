// Log: one event with fields per state change, as a JSON line or as text for a console.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "acme-server/base/strong_id.h"

namespace gatehouse {

enum class LogLevel { debug, info, warning, error };

// One field of an event, which refers to its texts: it is an argument, not to be kept. Secrets have
// no conversion to a value, on purpose.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, bool, double>;

  LogField(std::string_view key, std::string_view text) : name(key), value(text) {}

  LogField(std::string_view key, const std::string& text)
      : name(key), value(std::string_view(text)) {}

  LogField(std::string_view key, const char* text) : name(key), value(std::string_view(text)) {}

  LogField(std::string_view key, bool flag) : name(key), value(flag) {}

  LogField(std::string_view key, double number) : name(key), value(number) {}

  template <class Number>
    requires std::is_integral_v<Number>
  LogField(std::string_view key, Number number)
      : name(key), value(static_cast<std::int64_t>(number)) {}

  template <class Tag>
  LogField(std::string_view key, const StrongId<Tag>& id)
      : name(key), value(std::string_view(id.str())) {}

  std::string_view name;
  Value value;
};

using LogFields = std::initializer_list<LogField>;

// Safe to call from any thread, and so must its sink be. A sink that throws is the sink's fault,
// and is not seen by who logs.
class Log {
 public:
  // Gets each event: its level, and the line without a line end.
  using Sink = std::function<void(LogLevel, std::string_view line)>;
  enum class Format { json, console };

  struct Options {
    Format format = Format::json;
    LogLevel level = LogLevel::info;  // events below it are dropped
    Sink sink;                        // none: spdlog to standard error
  };

  Log();  // drops everything: for tests
  explicit Log(Options options);

  void debug(std::string_view event, LogFields fields = {}) {
    write(LogLevel::debug, event, fields);
  }

  void info(std::string_view event, LogFields fields = {}) { write(LogLevel::info, event, fields); }

  void warning(std::string_view event, LogFields fields = {}) {
    write(LogLevel::warning, event, fields);
  }

  void error(std::string_view event, LogFields fields = {}) {
    write(LogLevel::error, event, fields);
  }

  void write(LogLevel level, std::string_view event, LogFields fields);

  // Events below `level` are dropped from now on.
  void set_level(LogLevel level) { level_ = level; }

 private:
  Options options_;
  std::atomic<LogLevel> level_ = LogLevel::info;
  bool silent_ = false;
};

}  // namespace gatehouse
