#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "bench/floor.h"
#include "bench/load/https.h"
#include "bench/load/loop.h"
#include "bench/signatures.h"

namespace gatehouse::bench {

namespace {

// As the load generator's are, with what it sends to a server of ours.
constexpr std::size_t kRequestBytes = 900;
constexpr std::size_t kAnswerBytes = 900;
constexpr std::size_t kQuestionBytes = 52;
constexpr std::size_t kDnsAnswerBytes = 68;
constexpr std::size_t kGetBytes = 170;
constexpr std::size_t kFileBytes = 230;
constexpr std::size_t kMostQuestions = 4;
constexpr int kPatience = 10'000;  // milliseconds

template <std::size_t size>
constexpr std::array<char, size> kOctets{};

void require(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

// A process beside us, ended with this object; what it uses is not counted as ours.
class OtherProcess final {
 public:
  template <class Run>
  explicit OtherProcess(Run run) : pid_(fork()) {
    require(pid_ >= 0, "fork");
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      run();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "gatehouse-floor: the other side: %s\n", error.what());
    }
    _exit(1);
  }

  ~OtherProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

 private:
  pid_t pid_;
};

// A socket of our own on loopback, and where it is.
struct Bound {
  explicit Bound(int type) : socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    require(bind(socket.get(), raw, length) == 0 && getsockname(socket.get(), raw, &length) == 0 &&
                (type == SOCK_DGRAM || listen(socket.get(), SOMAXCONN) == 0),
            "a socket on loopback");
  }

  Descriptor socket;
  sockaddr_in address{};
};

int connect_to(int socket, const sockaddr_in& address) {
  return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

using Ssl = std::unique_ptr<SSL, void (*)(SSL*)>;

// TLS on a connected socket, handshake done, which waits where it must.
Ssl tls_on(int socket, SSL_CTX* context, int (*handshake)(SSL*)) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Ssl ssl(SSL_new(context), SSL_free);
  require(SSL_set_fd(ssl.get(), socket) == 1 && handshake(ssl.get()) == 1, "TLS handshake");
  return ssl;
}

template <std::size_t size>
void write_record(SSL* ssl) {
  require(SSL_write(ssl, kOctets<size>.data(), size) == size, "SSL_write");
}

// False when the record is not there yet.
template <std::size_t size>
bool read_record(SSL* ssl) {
  std::array<char, size> octets;
  const int got = SSL_read(ssl, octets.data(), size);
  if (got == size) return true;
  if (SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ) return false;
  throw std::runtime_error("the other side has gone, or sent a record of another size");
}

// With a certificate of its own, which clients do not look at.
TlsContext server_context() {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(X509_new(), X509_free);
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  require(X509_set_pubkey(certificate.get(), key.get()) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0) != nullptr &&
              X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400) != nullptr &&
              X509_sign(certificate.get(), key.get(), EVP_sha256()) != 0 &&
              SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
              SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
              SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1,
          "TLS context");
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record is one read()
  return context;
}

void be_client(const sockaddr_in& server, std::chrono::microseconds pause, unsigned int seed) {
  const TlsContext context = client_context();
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  require(connect_to(socket.get(), server) == 0, "connect");
  const Ssl ssl = tls_on(socket.get(), context.get(), SSL_connect);
  std::minstd_rand random(seed);
  std::uniform_int_distribution spread(pause.count() / 2, pause.count() * 3 / 2);
  for (;;) {
    write_record<kRequestBytes>(ssl.get());
    (void)read_record<kAnswerBytes>(ssl.get());
    if (pause.count() > 0) std::this_thread::sleep_for(std::chrono::microseconds(spread(random)));
  }
}

// Sends questions together and waits for as many answers.
void ask(const sockaddr_in& resolver, std::size_t questions) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  require(connect_to(socket.get(), resolver) == 0, "connect to the resolver");
  std::array<std::array<char, 512>, kMostQuestions> buffers{};
  std::array<iovec, kMostQuestions> pieces;
  std::array<mmsghdr, kMostQuestions> messages{};
  for (std::size_t i = 0; i < questions; ++i) {
    pieces[i] = {.iov_base = buffers[i].data(), .iov_len = kQuestionBytes};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  require(sendmmsg(socket.get(), messages.data(), static_cast<unsigned int>(questions), 0) ==
              static_cast<int>(questions),
          "sendmmsg");
  for (iovec& piece : pieces) piece.iov_len = buffers.front().size();
  pollfd ready{.fd = socket.get(), .events = POLLIN, .revents = 0};
  while (questions > 0) {
    require(poll(&ready, 1, kPatience) == 1, "no answer to a DNS question");
    const int got = recvmmsg(socket.get(), messages.data(), static_cast<unsigned int>(questions),
                             MSG_DONTWAIT, nullptr);
    require(got > 0, "recvmmsg");
    questions -= static_cast<std::size_t>(got);
  }
}

void get(const sockaddr_in& server) {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  pollfd ready{.fd = socket.get(), .events = POLLOUT, .revents = 0};
  if (connect_to(socket.get(), server) != 0) {
    require(errno == EINPROGRESS && poll(&ready, 1, kPatience) == 1, "connect to the web server");
  }
  require(send(socket.get(), kOctets<kGetBytes>.data(), kGetBytes, MSG_NOSIGNAL) == kGetBytes,
          "send a GET");
  ready.events = POLLIN;
  std::array<char, 4096> file;
  for (std::size_t had = 0; had < kFileBytes;) {
    require(poll(&ready, 1, kPatience) == 1, "no answer to a GET");
    const ssize_t got = recv(socket.get(), file.data(), file.size(), 0);
    require(got > 0, "recv");
    had += static_cast<std::size_t>(got);
  }
}

[[noreturn]] void answer_questions(int socket) {
  for (;;) {
    std::array<char, 512> message{};
    sockaddr_in from{};
    socklen_t length = sizeof from;
    auto* const raw = reinterpret_cast<sockaddr*>(&from);
    require(recvfrom(socket, message.data(), message.size(), 0, raw, &length) > 0, "recvfrom");
    (void)sendto(socket, message.data(), kDnsAnswerBytes, 0, raw, length);
  }
}

[[noreturn]] void answer_gets(int listener) {
  for (;;) {
    const Descriptor socket(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, kGetBytes> message;
    require(recv(socket.get(), message.data(), message.size(), MSG_WAITALL) == kGetBytes, "a GET");
    (void)send(socket.get(), kOctets<kFileBytes>.data(), kFileBytes, MSG_NOSIGNAL);
  }
}

}  // namespace

double https(const HttpsLoad& load, std::size_t certificates) {
  const Bound listener(SOCK_STREAM);
  const TlsContext context = server_context();
  const Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  std::vector<Descriptor> sockets;
  std::vector<Ssl> connections;
  const OtherProcess clients([&] {
    std::vector<std::jthread> threads;
    for (unsigned int i = 0; i < load.connections; ++i) {
      threads.emplace_back(be_client, listener.address, load.pause, i + 1);
    }
  });
  while (connections.size() < load.connections) {
    const int socket = accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC);
    sockets.emplace_back(socket);
    connections.push_back(tls_on(socket, context.get(), SSL_accept));
    SSL* const ssl = connections.back().get();
    // The first request may have been read with the end of the handshake: epoll knows nothing then.
    (void)read_record<kRequestBytes>(ssl);
    write_record<kAnswerBytes>(ssl);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = ssl}};
    require(fcntl(socket, F_SETFL, O_NONBLOCK) == 0 &&
                epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &event) == 0,
            "epoll_ctl");
  }
  const auto serve = [&](std::size_t requests) {
    std::array<epoll_event, 64> events;
    for (std::size_t served = 0; served < requests;) {
      const int ready =
          epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), kPatience);
      require(ready > 0, "no request came");
      for (int i = 0; i < ready; ++i) {
        auto* const ssl = static_cast<SSL*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (!read_record<kRequestBytes>(ssl)) continue;
        write_record<kAnswerBytes>(ssl);
        ++served;
      }
    }
  };
  serve(50 * load.connections);
  const double before = cpu_milliseconds();
  serve(load.requests * certificates);
  return (cpu_milliseconds() - before) / static_cast<double>(certificates);
}

double validation(std::size_t certificates) {
  const Bound resolver(SOCK_DGRAM);
  const Bound web(SOCK_STREAM);
  const OtherProcess responder([&] {
    const std::jthread questions(answer_questions, resolver.socket.get());
    answer_gets(web.socket.get());
  });
  const auto validate = [&](std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
      ask(resolver.address, 2);
      get(web.address);
      ask(resolver.address, 4);
    }
  };
  validate(50);
  const double before = cpu_milliseconds();
  validate(certificates);
  return (cpu_milliseconds() - before) / static_cast<double>(certificates);
}

}  // namespace gatehouse::bench
