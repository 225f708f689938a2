// What the other side of a validation asks: a DNS server (UDP and TCP, one port) that has an A
// record of loopback for every name and no data of any other type, and the web server that serves
// http-01's files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bench/load/loop.h"

namespace gatehouse::bench {

class DnsResponder final {
 public:
  // Port 0 takes a free one. Throws std::runtime_error when the port is taken.
  DnsResponder(Loop& loop, std::uint16_t port);

  std::uint16_t port() const { return port_; }

  std::size_t answered = 0;

 private:
  static void on_datagram(void* self, int descriptor);
  static void on_connection(void* self, int descriptor);
  static void on_stream(void* self, int descriptor);
  void drop(int descriptor);

  Loop& loop_;
  std::uint16_t port_ = 0;
  Descriptor udp_, tcp_;

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

  struct Stream {
    Descriptor descriptor;
    std::string received;
  };

  std::unordered_map<int, Stream> streams_;
  std::unordered_map<std::string, std::string> files_;
};

}  // namespace gatehouse::bench
