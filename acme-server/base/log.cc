#include "acme-server/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/json_text.h"
#include "acme-server/base/match.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"

namespace gatehouse {
namespace {

// Of one text in a console line: a person reads it, the JSON line has all of it.
constexpr std::size_t kMaxConsoleText = 512;

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::critical;
}

// A logger of its own, not in spdlog's global registry.
Log::Sink stderr_sink() {
  auto logger = std::make_shared<spdlog::logger>("gatehouse",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::trace);
  return [logger = std::move(logger)](LogLevel level, std::string_view line) {
    logger->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
  };
}

// The machine's time with milliseconds. Not a Clock: a log says when things happened to the
// process, also where the protocol's time is set by hand.
std::string timestamp() {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Instant second = std::chrono::floor<std::chrono::seconds>(now);
  std::string text = to_rfc3339(second);
  const std::string fraction = std::to_string(1000 + (now - second).count());
  text.pop_back();
  return text.append(".").append(fraction, 1) += 'Z';
}

void append_member(std::string& line, std::string_view name) {
  line += ',';
  append_json_string(line, name);
  line += ':';
}

std::string json_line(LogLevel level, std::string_view event, LogFields fields) {
  constexpr std::size_t kUsualLine = 512;
  std::string line;
  line.reserve(kUsualLine);
  line += R"({"time":")";
  line += timestamp();
  line += R"(","level":")";
  line += name_of(level);
  line += R"(","event":)";
  append_json_string(line, event);
  for (const LogField& field : fields) {
    append_member(line, field.name);
    std::visit(Match{[&](std::string_view text) { append_json_string(line, text); },
                     [&](std::int64_t number) { line += std::to_string(number); },
                     [&](bool flag) { line += flag ? "true" : "false"; },
                     [&](double number) { append_json(line, Json(number)); }},
               field.value);
  }
  line += '}';
  return line;
}

// As it is when it is one plain word, else quoted and escaped: one event stays one line.
std::string console_text(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
  return plain && text.size() <= kMaxConsoleText ? std::string(text)
                                                 : "\"" + sanitize(text, kMaxConsoleText) + "\"";
}

// 2026-11-22T09:30:00.123Z info    order.ready order=4f2 names="a.test, b.test"
std::string console_line(LogLevel level, std::string_view event, LogFields fields) {
  constexpr std::size_t kLevelWidth = 8;
  std::string line = timestamp() + " ";
  line += name_of(level);
  line.append(kLevelWidth - name_of(level).size(), ' ');
  line += sanitize(event, kMaxConsoleText);
  for (const LogField& field : fields) {
    line += " " + sanitize(field.name, kMaxConsoleText) + "=";
    line += std::visit(Match{[](std::string_view text) { return console_text(text); },
                             [](std::int64_t number) { return std::to_string(number); },
                             [](bool flag) { return std::string(flag ? "true" : "false"); },
                             [](double number) { return print_json(Json(number)); }},
                       field.value);
  }
  return line;
}

}  // namespace

Log::Log() : silent_(true) {}

Log::Log(Options options) : options_(std::move(options)), level_(options_.level) {
  if (!options_.sink) {
    options_.sink = stderr_sink();
  }
}

void Log::write(LogLevel level, std::string_view event, LogFields fields) {
  if (silent_ || level < level_) {
    return;
  }
  const std::string line = options_.format == Format::json ? json_line(level, event, fields)
                                                           : console_line(level, event, fields);
  try {
    options_.sink(level, line);
  } catch (...) {  // NOLINT(bugprone-empty-catch): a log that cannot be written must not fail what
                   // it reports on
  }
}

}  // namespace gatehouse
