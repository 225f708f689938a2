// What the other side of a validation asks: a DNS server (UDP and TCP, one port) that has an A
// record of loopback for every name and no data of any other type, and the web server that serves
// http-01's files; with names that are unwell (unwell.h), what is wrong with them.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bench/load/loop.h"
#include "bench/load/task.h"

namespace gatehouse::bench {

class DnsResponder final {
 public:
  // Port 0 takes a free one. Throws std::runtime_error when the port is taken.
  DnsResponder(Loop& loop, std::uint16_t port);

  std::uint16_t port() const { return port_; }

  // Sends what is held back, for ever; to be started beside the clients.
  Task<void> send_late_answers();

  std::size_t answered = 0;

 private:
  struct LateAnswer {
    Clock::time_point due;
    sockaddr_storage to;
    socklen_t length;
    std::string text;
  };

  static void on_datagram(void* self, int descriptor);
  static void on_connection(void* self, int descriptor);
  static void on_stream(void* self, int descriptor);
  void drop(int descriptor);

  Loop& loop_;
  std::uint16_t port_ = 0;
  Descriptor udp_, tcp_;
  std::deque<LateAnswer> late_;  // by the time they are due

  struct Stream {
    Descriptor descriptor;
    std::string received;
  };

  std::unordered_map<int, Stream> streams_;
};

class ChallengeResponder final {
 public:
  ChallengeResponder(Loop& loop, std::uint16_t port);

  std::uint16_t port() const { return port_; }

  void serve(const std::string& token, std::string key_authorization) {
    files_[token] = std::move(key_authorization);
  }

  void remove(const std::string& token) { files_.erase(token); }

  std::size_t answered = 0;

 private:
  static void on_connection(void* self, int descriptor);
  static void on_stream(void* self, int descriptor);
  void drop(int descriptor);
  std::string answer(std::string_view request);

  Loop& loop_;
  std::uint16_t port_ = 0;
  Descriptor tcp_;
  Descriptor mute_;  // takes connections, as far as its backlog goes, and nothing more

  struct Stream {
    Descriptor descriptor;
    std::string received;
  };

  std::unordered_map<int, Stream> streams_;
  std::unordered_map<std::string, std::string> files_;
};

}  // namespace gatehouse::bench
