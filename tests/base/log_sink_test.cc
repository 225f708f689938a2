#include "acme-server/base/log_sink.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "acme-server/base/log.h"
#include "acme-server/base/text.h"

namespace gatehouse {
namespace {

// A pipe whose ends are closed with it.
struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }

  ~Pipe() {
    close_writer();
    ::close(ends[0]);
  }

  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }

  // Until the other end is closed.
  std::string rest() const {
    std::string text;
    std::array<char, 4096> part{};
    for (;;) {
      const ssize_t got = ::read(ends[0], part.data(), part.size());
      REQUIRE(got >= 0);
      if (got == 0) return text;
      text.append(part.data(), static_cast<std::size_t>(got));
    }
  }

  std::array<int, 2> ends = {-1, -1};
};

TEST_CASE("each event is a line, written when the call is over and nobody else writes") {
  Pipe pipe;
  const Log::Sink sink = descriptor_sink(pipe.ends[1]);
  sink(LogLevel::info, "first");
  sink(LogLevel::error, "second");
  std::array<char, 64> part{};
  CHECK(::read(pipe.ends[0], part.data(), part.size()) == 13);
  CHECK(std::string(part.data(), 13) == "first\nsecond\n");
}

TEST_CASE("the lines of many threads are all there, whole, and in each one's order") {
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kLines = 2000;  // more than a pipe holds
  Pipe pipe;
  std::string text;
  std::jthread reader([&] { text = pipe.rest(); });
  {
    const Log::Sink sink = descriptor_sink(pipe.ends[1]);
    std::vector<std::jthread> writers;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      writers.emplace_back([&sink, thread] {
        for (std::size_t line = 0; line < kLines; ++line) {
          sink(line % 7 == 0 ? LogLevel::warning : LogLevel::info,
               std::to_string(thread) + " " + std::to_string(line) + " " + std::string(50, 'x'));
        }
      });
    }
  }
  pipe.close_writer();
  reader.join();
  std::map<std::string_view, std::size_t> next;
  const std::vector<std::string_view> lines = split(text, '\n');
  REQUIRE(lines.size() == kThreads * kLines + 1);  // nothing behind the last
  for (std::size_t i = 0; i < kThreads * kLines; ++i) {
    const std::vector<std::string_view> words = split(lines.at(i), ' ');
    REQUIRE(words.size() == 3);
    CHECK(words[1] == std::to_string(next[words[0]]++));
    CHECK(words[2].size() == 50);
  }
}

TEST_CASE("what cannot be written is lost, and nobody waits for it") {
  Pipe pipe;
  const Log::Sink sink = descriptor_sink(pipe.ends[0]);  // open for reading
  sink(LogLevel::error, "lost");
  sink(LogLevel::info, "lost");
}

}  // namespace
}  // namespace gatehouse
