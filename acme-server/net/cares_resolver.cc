#include "acme-server/net/cares_resolver.h"

#include <ares.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/resource_exhaustion.h"
#include "acme-server/base/text.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/dns_message.h"
#include "acme-server/net/net_options.h"
#include "acme-server/net/resolver.h"
#include "acme-server/net/system_resolvers.h"

namespace gatehouse::net {

namespace {

// What fits an Ethernet frame over IPv6 with room for tunnels: larger answers could be fragmented,
// and the second fragment forged (Brandt et al., CCS 2018; also DNS Flag Day 2020).
constexpr int kEdnsSize = 1232;

// The second octet of a header's flags, and the bit AD in it (RFC 4035 section 3.2.3).
constexpr std::size_t kFlagsAt = 3;
constexpr unsigned char kAuthenticData = 0x20;
constexpr int kSoa = 6;  // the type, by IANA's number

// c-ares' sockets, made by us: c-ares says of a socket that it did not get what it says of a server
// that it did not reach. The data is an int, the errno of the last socket that was not to be had.
const ares_socket_functions kSocketFunctions = {
    .asocket = [](int family, int type, int protocol, void* error) -> ares_socket_t {
      const int made = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
      if (made < 0) *static_cast<int*>(error) = errno;
      return made;
    },
    .aclose = [](ares_socket_t socket, void*) { return ::close(socket); },
    .aconnect = [](ares_socket_t socket, const sockaddr* to, ares_socklen_t size,
                   void*) { return ::connect(socket, to, size); },
    .arecvfrom = [](ares_socket_t socket, void* out, std::size_t size, int flags, sockaddr* from,
                    ares_socklen_t* from_size, void*) -> ares_ssize_t {
      return ::recvfrom(socket, out, size, flags, from, from_size);
    },
    .asendv = [](ares_socket_t socket, const iovec* pieces, int count, void*) -> ares_ssize_t {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces);  // sendmsg() does not write to it
      message.msg_iovlen = static_cast<std::size_t>(count);
      return ::sendmsg(socket, &message, MSG_NOSIGNAL);
    },
};

struct Channel {
  std::unique_ptr<int> socket_error;  // of kSocketFunctions; where it is while the channel lives
  std::unique_ptr<ares_channeldata, decltype(&ares_destroy)> handle{nullptr, &ares_destroy};

  ares_channeldata* get() const { return handle.get(); }
};

// Channels that are ready, as many as lookups that ran at once.
constexpr std::size_t kKeptChannels = 64;

Channel open_channel(ares_options& options, int mask) {
  ares_channel handle = nullptr;
  const int status = ares_init_options(&handle, &options, mask);
  if (status != ARES_SUCCESS) {
    throw std::runtime_error(std::string("the DNS library does not start: ") +
                             ares_strerror(status));
  }
  Channel channel{.socket_error = std::make_unique<int>(0), .handle = {handle, &ares_destroy}};
  ares_set_socket_functions(handle, &kSocketFunctions, channel.socket_error.get());
  return channel;
}

void use_server(ares_channeldata* channel, const Endpoint& server) {
  ares_addr_port_node node{};
  node.family = server.address.v6 ? AF_INET6 : AF_INET;
  std::memcpy(&node.addr, server.address.octets.data(), server.address.bytes().size());
  node.udp_port = server.port;
  node.tcp_port = server.port;
  const int status = ares_set_servers_ports(channel, &node);
  if (status != ARES_SUCCESS) {
    throw std::runtime_error("cannot use the DNS server " + server.to_string() + ": " +
                             ares_strerror(status));
  }
}

bool is_loopback(const IpAddress& address) {
  return address.v6 ? IpAddress::parse("::1") == address : address.octets[0] == 127;
}

bool over_tcp(DnsTransport transport, const Endpoint& server) {
  switch (transport) {
    case DnsTransport::automatic:
      return !is_loopback(server.address);
    case DnsTransport::tcp:
      return true;
    case DnsTransport::udp:
      return false;
  }
  return true;
}

Channel new_channel(const Endpoint& server, DnsTransport transport) {
  ares_options options{};
  // NOCHECKRESP: every response comes back as it is, and read_dns_response says what it means.
  options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  if (over_tcp(transport, server)) options.flags |= ARES_FLAG_USEVC;
  options.tries = 1;
  options.timeout = 1000 * 3600;  // `deadline` ends the try, not c-ares
  options.ednspsz = kEdnsSize;
#ifdef ARES_OPT_QUERY_CACHE
  // c-ares 1.31 and later remember answers; a validation has to ask.
  options.qcache_max_ttl = 0;
  constexpr int kNoCache = ARES_OPT_QUERY_CACHE;
#else
  constexpr int kNoCache = 0;
#endif
  Channel channel = open_channel(
      options, ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | ARES_OPT_EDNSPSZ | kNoCache);
  use_server(channel.get(), server);
  return channel;
}

// Runs the channel on this thread until something has happened on its sockets, or for `span`. False
// when there is nothing to wait for.
bool poll_once(ares_channeldata* channel, std::chrono::milliseconds span) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const auto wanted = static_cast<unsigned>(
      ares_getsock(channel, sockets.data(), static_cast<int>(sockets.size())));
  std::array<pollfd, ARES_GETSOCK_MAXNUM> polled{};
  nfds_t count = 0;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(wanted, i) != 0) events |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(wanted, i) != 0) events |= POLLOUT;
    if (events != 0) polled[count++] = {.fd = sockets[i], .events = events, .revents = 0};
  }
  if (count == 0) return false;
  const int ready = ::poll(polled.data(), count, static_cast<int>(span.count()));
  if (ready < 0) return errno == EINTR;
  for (const pollfd& entry : std::span(polled).first(ready > 0 ? count : 0)) {
    if (entry.revents == 0) continue;
    const bool readable = (entry.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
    const bool writable = (entry.revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
    ares_process_fd(channel, readable ? entry.fd : ARES_SOCKET_BAD,
                    writable ? entry.fd : ARES_SOCKET_BAD);
  }
  return true;
}

DnsError bad_name(const std::string& name) {
  return {.kind = DnsError::Kind::bad_name,
          .detail = "\"" + sanitize(name, 253) + "\" is not a name that DNS can hold"};
}

// The next server may know better.
bool worth_another_try(DnsError::Kind kind) {
  switch (kind) {
    case DnsError::Kind::nxdomain:
    case DnsError::Kind::no_data:
    case DnsError::Kind::bad_name:
      return false;
    case DnsError::Kind::servfail:
    case DnsError::Kind::refused:
    case DnsError::Kind::timeout:
    case DnsError::Kind::unreachable:
    case DnsError::Kind::malformed:
    case DnsError::Kind::truncated:
      return true;
  }
  return false;
}

}  // namespace

// A question on its way to one server. Stays where it is while c-ares knows it.
struct CaresResolver::Inquiry {
  std::size_t index = 0;  // of the question, for who asks
  const std::string& name;
  int type = 0;
  Deadline deadline;
  bool done = false;
  bool settled = false;
  int status = ARES_ETIMEOUT;
  Bytes message;  // the answer as it came

  // c-ares' callback, on the thread that polls.
  static void on_answer(void* inquiry_pointer, int status, int /*timeouts*/, unsigned char* message,
                        int size) {
    auto& inquiry = *static_cast<Inquiry*>(inquiry_pointer);
    inquiry.done = true;
    inquiry.status = status;
    if (message != nullptr && size > 0) inquiry.message.assign(message, message + size);
  }

  // Gives the question to `channel`; false if it is none that DNS can ask.
  bool send(ares_channeldata* channel, std::uint16_t id);

  // Once settled: why there is no message.
  std::optional<DnsError> failure(const std::string& what) const;
};

bool CaresResolver::Inquiry::send(ares_channeldata* channel, std::uint16_t id) {
  unsigned char* question = nullptr;
  int size = 0;
  const int created = ares_create_query(name.c_str(), 1, type, id, 1, &question, &size, kEdnsSize);
  const std::unique_ptr<unsigned char, decltype(&ares_free_string)> owned(question,
                                                                          &ares_free_string);
  if (created != ARES_SUCCESS || name.find('\0') != std::string::npos) return false;
  // RFC 6840 section 5.7: the AD bit in a query asks for the AD bit in its answer.
  question[kFlagsAt] |= kAuthenticData;
  ares_send(channel, question, size, &on_answer, this);
  return true;
}

std::optional<DnsError> CaresResolver::Inquiry::failure(const std::string& what) const {
  if (!done || status == ARES_ETIMEOUT) {
    return DnsError{.kind = DnsError::Kind::timeout,
                    .detail = "no resolver answered in time for " + what};
  }
  if (status == ARES_EBADNAME) return bad_name(name);
  // c-ares 1.28 and later look into the answer too.
  if (status == ARES_EBADRESP) {
    return DnsError{
        .kind = DnsError::Kind::malformed,
        .detail = "the resolver's answer for " + what + " cannot be used: it is not well-formed"};
  }
  if (status != ARES_SUCCESS) {
    return DnsError{.kind = DnsError::Kind::unreachable,
                    .detail = "no resolver could be reached for " + what};
  }
  return std::nullopt;
}

// Making a channel reads files and random octets; a channel without questions closes its sockets
// (c-ares does so unless it is told to keep them open).
struct CaresResolver::Channels {
  struct Idle {
    Endpoint server;
    Channel channel;
  };

  Channel take(const Endpoint& server, DnsTransport transport) {
    Channel taken = idle.with([&](std::vector<Idle>& all) -> Channel {
      const auto found = std::ranges::find(all, server, &Idle::server);
      if (found == all.end()) return {};
      Channel channel = std::move(found->channel);
      all.erase(found);
      return channel;
    });
    return taken.handle ? std::move(taken) : new_channel(server, transport);
  }

  void keep(const Endpoint& server, Channel channel) {
    idle.with([&](std::vector<Idle>& all) {
      if (all.size() < kKeptChannels) {
        all.push_back({.server = server, .channel = std::move(channel)});
      }
    });
  }

  Guarded<std::vector<Idle>> idle;
};

CaresResolver::CaresResolver(const ResolverOptions& options, Entropy& entropy)
    : options_(options), channels_(std::make_unique<Channels>()), entropy_(&entropy) {
  for (const std::string& text : options.servers) {
    const auto server = Endpoint::parse(text, kDnsPort);
    if (!server) throw std::runtime_error("dns.servers: " + server.error());
    configured_.push_back(*server);
  }
  if (options.tries < 1) throw std::runtime_error("dns.tries: at least one try is needed");
  if (const int status = ares_library_init(ARES_LIB_INIT_ALL); status != ARES_SUCCESS) {
    throw std::runtime_error(std::string("the DNS library does not start: ") +
                             ares_strerror(status));
  }
}

CaresResolver::~CaresResolver() {
  channels_.reset();
  ares_library_cleanup();
}

std::vector<Endpoint> CaresResolver::servers() const {
  return configured_.empty() ? system_resolvers(options_.system_config) : configured_;
}

namespace {

// Says which resolver it was, where the answer is its doing and not the zone's: several may be
// configured, and of split DNS one may know what another does not.
DnsError name_resolver(DnsError error, const Endpoint& server) {
  using Kind = DnsError::Kind;
  switch (error.kind) {
    case Kind::nxdomain:
    case Kind::no_data:
    case Kind::bad_name:
      return error;
    case Kind::timeout:
    case Kind::unreachable:
      error.detail += "; " + server.to_string() + " was asked last";
      return error;
    case Kind::servfail:
    case Kind::refused:
    case Kind::malformed:
    case Kind::truncated:
      break;
  }
  constexpr std::string_view kResolver = "the resolver";
  if (error.detail.starts_with(kResolver)) {
    error.detail.insert(kResolver.size(), " " + server.to_string());
  }
  return error;
}

}  // namespace

Expected<DnsAnswer, DnsError> CaresResolver::query(const std::string& name, RecordType type,
                                                   Deadline deadline) {
  const Question question{.name = name, .type = type, .deadline = deadline};
  std::optional<Expected<DnsAnswer, DnsError>> taken;
  query_each({&question, 1}, [&](const Expected<DnsAnswer, DnsError>& answer) {
    taken = answer;
    return false;
  });
  return std::move(taken).value();
}

void CaresResolver::query_each(std::span<const Question> questions, const Take& take) {
  if (questions.empty()) return;
  const std::vector<Endpoint> known = servers();
  const std::size_t first = known.size() == 1 ? 0 : random_below(*entropy_, known.size());
  std::vector<std::optional<Expected<DnsAnswer, DnsError>>> answers(questions.size());
  std::size_t taken = 0;
  bool enough = false;
  // Asks for answers [begin, end), as the `tried`-th try.
  const auto ask_for = [&](std::size_t begin, std::size_t end, int tried) {
    const Endpoint& server = known[(first + static_cast<std::size_t>(tried) - 1) % known.size()];
    std::vector<Inquiry> inquiries;
    inquiries.reserve(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      inquiries.push_back({.index = i,
                           .name = questions[i].name,
                           .type = static_cast<int>(questions[i].type),
                           .deadline = questions[i].deadline.at_most(options_.timeout),
                           .message = {}});
    }
    const auto settled = [&](const Inquiry& inquiry) {
      const Question& question = questions[inquiry.index];
      auto failure = inquiry.failure("the " + std::string(to_string(question.type)) +
                                     " records of " + sanitize(question.name, 253));
      auto answer = failure ? Expected<DnsAnswer, DnsError>(Unexpected{*std::move(failure)})
                            : read_dns_response(inquiry.message, question.name, question.type);
      if (!answer) answer = Unexpected{name_resolver(answer.error(), server)};
      const bool last = tried == options_.tries || question.deadline.expired();
      if (answer || last || !worth_another_try(answer.error().kind)) {
        answers[inquiry.index] = std::move(answer);
      }
      while (!enough && taken < answers.size() && answers[taken]) {
        const auto& next = *answers[taken];
        ++taken;
        enough = !take(next) || taken == answers.size();
      }
      return enough;
    };
    ask(server, inquiries, settled);
  };
  ask_for(0, questions.size(), 1);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    for (int tried = 2; !enough && !answers[i]; ++tried) ask_for(i, i + 1, tried);
  }
}

std::optional<NotValidating> CaresResolver::why_not_validating(const std::string& signed_name,
                                                               Deadline deadline) {
  const std::string what = "the SOA record of " + sanitize(signed_name, 253);
  for (const Endpoint& server : servers()) {
    Inquiry inquiry{.name = signed_name,
                    .type = kSoa,
                    .deadline = deadline.at_most(options_.timeout),
                    .message = {}};
    ask(server, {&inquiry, 1}, [](const Inquiry&) { return true; });
    if (const auto failure = inquiry.failure(what)) {
      return NotValidating{
          .why = "the DNS server " + server.to_string() + " gives no answer: " + failure->detail,
          .answered = false};
    }
    if (!is_authenticated(inquiry.message)) {
      return NotValidating{.why = "the DNS server " + server.to_string() +
                                  " does not validate DNSSEC: its answer for " + what +
                                  " comes without the AD bit",
                           .answered = true};
    }
  }
  return std::nullopt;
}

void CaresResolver::ask(const Endpoint& server, std::span<Inquiry> inquiries,
                        const std::function<bool(Inquiry&)>& settled) {
  Channel channel = channels_->take(server, options_.transport);  // its end may call back
  *channel.socket_error = 0;

  // c-ares before 1.19.1 draws its ids from a weak generator (CVE-2023-31147): they come from us.
  std::vector<std::uint8_t> ids(2 * inquiries.size());
  entropy_->fill(ids);
  for (std::size_t i = 0; i < inquiries.size(); ++i) {
    const auto id = static_cast<std::uint16_t>(ids[2 * i] << 8 | ids[2 * i + 1]);
    if (inquiries[i].send(channel.get(), id)) continue;
    inquiries[i].done = true;
    inquiries[i].status = ARES_EBADNAME;
  }

  bool waits = true;
  for (bool enough = false; !enough;) {
    std::optional<std::chrono::milliseconds> next;  // when to look again
    for (Inquiry& inquiry : inquiries) {
      if (inquiry.settled) continue;
      const auto left = inquiry.deadline.remaining();
      if (inquiry.done && inquiry.status != ARES_SUCCESS) {
        if (inquiry.status == ARES_ENOMEM) throw std::bad_alloc();
        throw_if_resource_exhaustion(*channel.socket_error, "ask the DNS server");
      }
      if (inquiry.done || left.count() == 0 || !waits) {
        inquiry.settled = true;
        enough = settled(inquiry) || enough;
      } else {
        next = next ? std::min(*next, left) : left;
      }
    }
    if (!next) break;
    if (!enough) waits = poll_once(channel.get(), *next);
  }

  if (std::ranges::all_of(inquiries, [](const Inquiry& inquiry) {
        return inquiry.done && (inquiry.status == ARES_SUCCESS || inquiry.status == ARES_EBADNAME);
      })) {
    channels_->keep(server, std::move(channel));
  }
}

}  // namespace gatehouse::net
