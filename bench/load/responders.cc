#include "bench/load/responders.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "bench/load/unwell.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kDnsHeader = 12;
constexpr std::uint16_t kTypeA = 1;
// Names that are unwell have an address of their own, of these last octets.
constexpr char kRefusing = 2;
constexpr char kMute = 3;
// Sooner than a resolver's patience ends.
constexpr std::chrono::milliseconds kLate{300};
constexpr std::size_t kMaxRequest = 16 * 1024;

int open_socket(int type, std::uint16_t port, in_addr_t host = INADDR_LOOPBACK) {
  const int descriptor = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  const int on = 1;
  (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (descriptor < 0 ||
      bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      (type == SOCK_STREAM && listen(descriptor, SOMAXCONN) != 0)) {
    throw std::runtime_error("cannot use port " + std::to_string(port) +
                             " on loopback: " + std::generic_category().message(errno));
  }
  return descriptor;
}

std::uint16_t port_of(int descriptor) {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  (void)getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

// The first label of the name asked for, in small letters.
std::string label_of(std::string_view query) {
  const auto size = static_cast<unsigned char>(query[kDnsHeader]);
  std::string label(query.substr(kDnsHeader + 1, size));
  std::ranges::transform(label, label.begin(),
                         [](unsigned char each) { return std::tolower(each); });
  return label;
}

// The answer to `query`: nothing when that is no question of ours, or one that gets none.
std::string dns_answer(std::string_view query) {
  std::size_t end = kDnsHeader;
  while (end < query.size() && query[end] != 0) end += static_cast<unsigned char>(query[end]) + 1U;
  if (end + 5 > query.size()) return {};
  const auto octet = [&](std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(query[at]));
  };
  const std::string label = label_of(query);
  if (is(label, Unwell::lost)) return {};
  const unsigned type = octet(end + 1) << 8 | octet(end + 2);
  std::string answer(query.substr(0, end + 5));
  const bool has_data = type == kTypeA;
  answer[2] = static_cast<char>(0x84 | (octet(2) & 1U));  // a response, authoritative, RD as asked
  answer[3] = static_cast<char>(0x80);                    // RA, no error
  answer[4] = 0;
  answer[5] = 1;
  answer[6] = 0;
  answer[7] = has_data ? 1 : 0;
  for (std::size_t i = 8; i < kDnsHeader; ++i) answer[i] = 0;
  if (has_data) {
    constexpr std::array<char, 16> kRecord = {'\xC0', 12, 0, 1, 0,   1, 0, 0,
                                              0,      60, 0, 4, 127, 0, 0, 1};
    answer.append(kRecord.data(), kRecord.size());
    if (is(label, Unwell::refused)) answer.back() = kRefusing;
    if (is(label, Unwell::mute)) answer.back() = kMute;
  }
  return answer;
}

void send_all(int descriptor, std::string_view text) {
  // Loopback's buffer takes it at once; who reads no answer is a client of ours that has gone.
  (void)send(descriptor, text.data(), text.size(), MSG_NOSIGNAL);
}

// Reads what is there into `received`. False when the peer has gone.
bool receive(int descriptor, std::string& received) {
  std::array<char, 4096> piece;
  for (;;) {
    const auto size = recv(descriptor, piece.data(), piece.size(), 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    received.append(piece.data(), static_cast<std::size_t>(size));
    if (static_cast<std::size_t>(size) < piece.size()) return true;
  }
}

}  // namespace

DnsResponder::DnsResponder(Loop& loop, std::uint16_t port)
    : loop_(loop), udp_(open_socket(SOCK_DGRAM, port)) {
  port_ = port_of(udp_.get());
  tcp_ = Descriptor(open_socket(SOCK_STREAM, port_));
  loop_.watch(udp_.get(), this, on_datagram);
  loop_.watch(tcp_.get(), this, on_connection);
}

void DnsResponder::on_datagram(void* self, int descriptor) {
  auto& responder = *static_cast<DnsResponder*>(self);
  std::array<char, 1500> query;
  for (;;) {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    auto* const peer = reinterpret_cast<sockaddr*>(&from);
    const auto size = recvfrom(descriptor, query.data(), query.size(), 0, peer, &length);
    if (size < 0) return;
    const std::string answer = dns_answer({query.data(), static_cast<std::size_t>(size)});
    if (answer.empty()) continue;
    if (is(label_of({query.data(), static_cast<std::size_t>(size)}), Unwell::late)) {
      responder.late_.push_back(
          {.due = Clock::now() + kLate, .to = from, .length = length, .text = answer});
      continue;
    }
    (void)sendto(descriptor, answer.data(), answer.size(), MSG_NOSIGNAL, peer, length);
    ++responder.answered;
  }
}

Task<void> DnsResponder::send_late_answers() {
  for (;;) {
    co_await loop_.sleep(std::chrono::milliseconds(20));
    for (; !late_.empty() && late_.front().due <= Clock::now(); late_.pop_front()) {
      const LateAnswer& late = late_.front();
      (void)sendto(udp_.get(), late.text.data(), late.text.size(), MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr*>(&late.to), late.length);
      ++answered;
    }
  }
}

void DnsResponder::on_connection(void* self, int descriptor) {
  auto& responder = *static_cast<DnsResponder*>(self);
  for (;;) {
    const int accepted = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) return;
    responder.streams_[accepted] = {.descriptor = Descriptor(accepted), .received = {}};
    responder.loop_.watch(accepted, self, on_stream);
  }
}

void DnsResponder::drop(int descriptor) {
  loop_.forget(descriptor);
  streams_.erase(descriptor);
}

void DnsResponder::on_stream(void* self, int descriptor) {
  auto& responder = *static_cast<DnsResponder*>(self);
  std::string& received = responder.streams_.at(descriptor).received;
  const bool open = receive(descriptor, received);
  while (received.size() >= 2) {
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(received[0]))
                                 << 8 |
                             static_cast<unsigned char>(received[1]);
    if (received.size() < size + 2) break;
    const std::string answer = dns_answer(std::string_view(received).substr(2, size));
    received.erase(0, size + 2);
    if (answer.empty()) continue;
    const std::array<char, 2> length = {static_cast<char>(answer.size() >> 8),
                                        static_cast<char>(answer.size() & 0xFF)};
    send_all(descriptor, std::string(length.data(), length.size()) + answer);
    ++responder.answered;
  }
  if (!open || received.size() > kMaxRequest) responder.drop(descriptor);
}

ChallengeResponder::ChallengeResponder(Loop& loop, std::uint16_t port)
    : loop_(loop), tcp_(open_socket(SOCK_STREAM, port)) {
  port_ = port_of(tcp_.get());
  mute_ = Descriptor(open_socket(SOCK_STREAM, port_, INADDR_LOOPBACK + kMute - 1));
  loop_.watch(tcp_.get(), this, on_connection);
}

void ChallengeResponder::on_connection(void* self, int descriptor) {
  auto& responder = *static_cast<ChallengeResponder*>(self);
  for (;;) {
    const int accepted = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) return;
    responder.streams_[accepted] = {.descriptor = Descriptor(accepted), .received = {}};
    responder.loop_.watch(accepted, self, on_stream);
  }
}

void ChallengeResponder::drop(int descriptor) {
  loop_.forget(descriptor);
  streams_.erase(descriptor);
}

std::string ChallengeResponder::answer(std::string_view request) {
  constexpr std::string_view kPath = "GET /.well-known/acme-challenge/";
  ++answered;
  if (request.starts_with(kPath)) {
    const auto end = request.find(' ', kPath.size());
    const auto found = files_.find(std::string(request.substr(kPath.size(), end - kPath.size())));
    if (found != files_.end()) {
      return "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
             std::to_string(found->second.size()) + "\r\nConnection: close\r\n\r\n" + found->second;
    }
  }
  return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

void ChallengeResponder::on_stream(void* self, int descriptor) {
  auto& responder = *static_cast<ChallengeResponder*>(self);
  std::string& received = responder.streams_.at(descriptor).received;
  const bool open = receive(descriptor, received);
  if (received.find("\r\n\r\n") != std::string::npos) {
    send_all(descriptor, responder.answer(received));
    return responder.drop(descriptor);
  }
  if (!open || received.size() > kMaxRequest) responder.drop(descriptor);
}

}  // namespace gatehouse::bench
