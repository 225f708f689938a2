// DnsServer: a DNS server, on 127.0.0.1 unless told otherwise, that answers each question as a
// test's function says, over UDP and TCP.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/guarded.h"
#include "tests/support/loopback_server.h"

namespace gatehouse::testing {

struct DnsQuestion {
  std::string name;  // in lower case or not, as it was sent
  int type = 0;
  bool tcp = false;
  bool authentic_data = false;  // the AD bit
  int udp_size = 0;             // of the EDNS record; 0: none
  int source_port = 0;
  int id = 0;
};

class DnsServer {
 public:
  // Gives what follows the id: flags, counts, question and all. Nothing: silence.
  using Script = std::function<Bytes(const DnsQuestion&, ByteView question_section)>;

  explicit DnsServer(Script script, std::uint16_t port = 0,
                     const IpAddress& address = IpAddress::v4(127, 0, 0, 1))
      : tcp_(SOCK_STREAM, port, address),
        udp_(SOCK_DGRAM, tcp_.port(), address),
        script_(std::move(script)),
        wake_(::eventfd(0, EFD_CLOEXEC)) {
    if (wake_ < 0 || ::listen(tcp_.fd(), 16) != 0)
      throw std::runtime_error("cannot listen on loopback");
    thread_ = std::thread([this] { run(); });
  }

  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  ~DnsServer() {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) std::terminate();
    thread_.join();
    ::close(wake_);
  }

  std::string endpoint() const { return tcp_.endpoint(); }

  std::uint16_t port() const { return tcp_.port(); }

  std::vector<DnsQuestion> questions() const {
    return questions_.with([](const std::vector<DnsQuestion>& all) { return all; });
  }

  // The usual answer: `flags`, the question repeated, `answers` records.
  static Bytes message(int flags, ByteView question_section, int answers,
                       const Bytes& records = {}) {
    Bytes bytes;
    for (const int number : {flags, 1, answers, 0, 0}) {
      bytes.push_back(static_cast<std::uint8_t>(number >> 8));
      bytes.push_back(static_cast<std::uint8_t>(number & 0xff));
    }
    bytes.insert(bytes.end(), question_section.begin(), question_section.end());
    bytes.insert(bytes.end(), records.begin(), records.end());
    return bytes;
  }

  // A record of the name asked for.
  static Bytes record(int type, const Bytes& data) {
    Bytes bytes = {0xc0,
                   12,
                   static_cast<std::uint8_t>(type >> 8),
                   static_cast<std::uint8_t>(type & 0xff),
                   0,
                   1,
                   0,
                   0,
                   0,
                   60,
                   static_cast<std::uint8_t>(data.size() >> 8),
                   static_cast<std::uint8_t>(data.size() & 0xff)};
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
  }

 private:
  static constexpr std::size_t kHeader = 12;

  void run() {
    while (true) {
      pollfd polled[] = {{.fd = wake_, .events = POLLIN, .revents = 0},
                         {.fd = udp_.fd(), .events = POLLIN, .revents = 0},
                         {.fd = tcp_.fd(), .events = POLLIN, .revents = 0}};
      if (::poll(polled, 3, -1) < 0) continue;
      if (polled[0].revents != 0) return;
      if (polled[1].revents != 0) serve_udp();
      if (polled[2].revents != 0) serve_tcp();
    }
  }

  void serve_udp() {
    Bytes query(4096);
    sockaddr_in6 from{};  // room for either family, which have the port in the same place
    socklen_t size = sizeof from;
    auto* generic = reinterpret_cast<sockaddr*>(&from);
    const ssize_t count = ::recvfrom(udp_.fd(), query.data(), query.size(), 0, generic, &size);
    if (count < static_cast<ssize_t>(kHeader)) return;
    query.resize(static_cast<std::size_t>(count));
    const Bytes response =
        respond(query, {.name = "", .tcp = false, .source_port = ntohs(from.sin6_port)});
    if (!response.empty()) ::sendto(udp_.fd(), response.data(), response.size(), 0, generic, size);
  }

  // Queries of one connection, until the client closes it or there is no answer: c-ares asks again
  // on the same one after a FORMERR.
  void serve_tcp() {
    sockaddr_in6 from{};
    socklen_t size = sizeof from;
    const int fd = ::accept4(tcp_.fd(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC);
    while (answer_next(fd, ntohs(from.sin6_port))) {
      pollfd polled[] = {{.fd = wake_, .events = POLLIN, .revents = 0},
                         {.fd = fd, .events = POLLIN, .revents = 0}};
      if (::poll(polled, 2, -1) < 0 || polled[0].revents != 0) break;
    }
    ::close(fd);
  }

  bool answer_next(int fd, std::uint16_t source_port) {
    std::uint8_t prefix[2];
    if (::recv(fd, prefix, 2, MSG_WAITALL) != 2) return false;
    Bytes query(static_cast<std::size_t>(prefix[0] << 8 | prefix[1]));
    if (::recv(fd, query.data(), query.size(), MSG_WAITALL) != static_cast<ssize_t>(query.size()) ||
        query.size() <= kHeader) {
      return false;
    }
    const Bytes response = respond(query, {.name = "", .tcp = true, .source_port = source_port});
    if (response.empty()) return false;
    std::string framed = {static_cast<char>(response.size() >> 8),
                          static_cast<char>(response.size() & 0xff)};
    framed += as_text(response);
    LoopbackServer::send_all(fd, framed);
    return true;
  }

  Bytes respond(const Bytes& query, DnsQuestion question) {
    question.id = query[0] << 8 | query[1];
    question.authentic_data = (query[3] & 0x20) != 0;
    std::size_t at = kHeader;
    while (at < query.size() && query[at] != 0) {
      if (!question.name.empty()) question.name += '.';
      question.name += as_text(ByteView(query).subspan(at + 1, query[at]));
      at += 1U + query[at];
    }
    question.type = query[at + 1] << 8 | query[at + 2];
    const std::size_t end = at + 5;
    const bool edns =
        query[11] == 1 && query.size() >= end + 5;  // one additional record: OPT, of the root
    if (edns) question.udp_size = query[end + 3] << 8 | query[end + 4];
    questions_.with([&](std::vector<DnsQuestion>& all) { all.push_back(question); });
    const Bytes rest = script_(question, ByteView(query).subspan(kHeader, end - kHeader));
    if (rest.empty()) return {};
    Bytes response = {query[0], query[1]};
    response.insert(response.end(), rest.begin(), rest.end());
    return response;
  }

  LoopbackSocket tcp_;
  LoopbackSocket udp_;
  Script script_;
  Guarded<std::vector<DnsQuestion>> questions_;
  int wake_;
  std::thread thread_;
};

}  // namespace gatehouse::testing
