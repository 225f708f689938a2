// A network of its own for a test: a namespace with both families, and a look at every packet in
// it. Needs CAP_SYS_ADMIN and `ip` (iproute2).
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/ip_address.h"

namespace gatehouse::testing {

// Runs `ip` with these arguments in the calling thread's namespace.
inline void ip_command(const std::string& arguments) {
  const std::string command = "ip " + arguments;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the text is the test's own.
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// Calls `body` on a thread that is alone in a new network namespace, whose loopback is up; so are
// the threads and processes that it starts. Gives why not when there can be no such namespace;
// throws what `body` throws.
inline std::optional<std::string> in_new_network(const std::function<void()>& body) {
  std::optional<std::string> why_not;
  std::exception_ptr failure;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      why_not = std::string("no network namespace can be made (") + std::strerror(errno) +
                "): run this test as root";
      return;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread changes the environment.
    if (std::system("ip link set lo up") != 0) {
      why_not = "`ip` does not work: install iproute2";
      return;
    }
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
  return why_not;
}

// Every IPv4 and IPv6 packet that an interface of the namespace sends from now on, but what IPv6
// does on its own (ICMPv6: neighbour and multicast listener discovery).
class PacketWatch {
 public:
  PacketWatch()
      : fd_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    if (fd_ < 0) throw std::runtime_error("no packet socket");
  }

  PacketWatch(const PacketWatch&) = delete;
  PacketWatch& operator=(const PacketWatch&) = delete;

  ~PacketWatch() { ::close(fd_); }

  // Whereto packets went since the last call, in order.
  std::vector<std::string> destinations() {
    std::vector<std::string> all;
    std::array<std::uint8_t, 2048> packet{};
    sockaddr_ll from{};
    while (true) {
      socklen_t size = sizeof from;
      const ssize_t count = ::recvfrom(fd_, packet.data(), packet.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &size);
      if (count <= 0) return all;
      const ByteView octets = ByteView(packet).first(static_cast<std::size_t>(count));
      if (from.sll_pkttype != PACKET_OUTGOING) continue;
      if (ntohs(from.sll_protocol) == ETH_P_IP && octets.size() >= 20) {
        all.push_back(IpAddress::from_bytes(octets.subspan(16, 4)).value().to_string());
      } else if (ntohs(from.sll_protocol) == ETH_P_IPV6 && octets.size() >= 40 &&
                 octets[6] != IPPROTO_ICMPV6 && octets[6] != IPPROTO_HOPOPTS) {
        all.push_back(IpAddress::from_bytes(octets.subspan(24, 16)).value().to_string());
      }
    }
  }

 private:
  int fd_;
};

}  // namespace gatehouse::testing
