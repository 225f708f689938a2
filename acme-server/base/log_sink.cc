#include "acme-server/base/log_sink.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"

namespace gatehouse {
namespace {

// Of lines that nobody stays for: a reader that has stopped must not cost us all our memory.
constexpr std::size_t kMaxWaitingBytes = std::size_t{256} * 1024;

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

class Lines final {
 public:
  explicit Lines(int descriptor) : descriptor_(descriptor) {}

  void put(LogLevel level, std::string_view line) {
    bool stay = level >= LogLevel::warning;
    const std::uint64_t number = held_.with([&](Held& held) {
      stay = stay || held.waiting.size() > kMaxWaitingBytes;
      held.waiting.append(line) += '\n';
      return ++held.put;
    });
    while (write_waiting()) {
    }
    if (stay) {
      held_.wait([&](const Held& held) { return held.written >= number; }, [](const Held&) {});
    }
  }

 private:
  struct Held {
    std::string waiting;
    std::uint64_t put = 0;      // lines, from the beginning
    std::uint64_t written = 0;  // of them
    bool writing = false;       // somebody is, and will look again
  };

  // False when there was nothing to do, or somebody else is doing it.
  bool write_waiting() {
    std::string lines;
    std::uint64_t last = 0;
    held_.with([&](Held& held) {
      if (held.writing) return;
      lines.swap(held.waiting);
      last = held.put;
      held.writing = !lines.empty();
    });
    if (lines.empty()) return false;
    write_all(descriptor_, lines);
    held_.with([&](Held& held) {
      held.writing = false;
      held.written = last;
    });
    held_.notify_all();
    return true;
  }

  int descriptor_;
  Guarded<Held> held_;
};

}  // namespace

Log::Sink descriptor_sink(int descriptor) {
  return [lines = std::make_shared<Lines>(descriptor)](LogLevel level, std::string_view line) {
    lines->put(level, line);
  };
}

}  // namespace gatehouse
