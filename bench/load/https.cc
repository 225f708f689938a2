#include "bench/load/https.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <strings.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace gatehouse::bench {

namespace {

constexpr std::size_t kPiece = 16 * 1024;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::size_t number_of(std::string_view text, int base) {
  std::size_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec != std::errc()) {
    throw Failure("a length in the answer is not a number");
  }
  return number;
}

Response parse_head(std::string_view head) {
  Response response;
  if (head.size() < 12 || !head.starts_with("HTTP/1.1 ")) throw Failure("the answer is not HTTP");
  response.status = static_cast<int>(number_of(head.substr(9, 3), 10));
  for (auto at = head.find("\r\n"); at != std::string_view::npos;) {
    const auto end = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, end - at - 2);
    if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      std::string_view value = line.substr(colon + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      response.headers.emplace_back(line.substr(0, colon), value);
    }
    at = end;
  }
  return response;
}

}  // namespace

std::pair<Target, std::string> split_url(const std::string& url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) throw Failure("not an https URL: " + url);
  const auto slash = url.find('/', kScheme.size());
  const std::string authority = url.substr(kScheme.size(), slash - kScheme.size());
  const auto colon = authority.rfind(':');
  Target target{.host = authority.substr(0, colon), .port = 443};
  if (colon != std::string::npos) {
    target.port = static_cast<std::uint16_t>(number_of(authority.substr(colon + 1), 10));
  }
  return {target, slash == std::string::npos ? "/" : url.substr(slash)};
}

std::string_view Response::header(std::string_view name) const {
  for (const auto& [each, value] : headers) {
    if (same_name(each, name)) return value;
  }
  return {};
}

TlsContext client_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) throw std::runtime_error("OpenSSL makes no TLS context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

HttpsConnection::HttpsConnection(Loop& loop, SSL_CTX& context, Target target,
                                 std::chrono::seconds patience)
    : loop_(loop),
      context_(context),
      target_(std::move(target)),
      patience_(patience),
      ssl_(nullptr, SSL_free) {}

HttpsConnection::~HttpsConnection() {
  close();
}

void HttpsConnection::close() {
  ssl_.reset();
  if (socket_.get() >= 0) loop_.forget(socket_.get());
  socket_ = Descriptor();
  received_.clear();
}

Task<void> HttpsConnection::wait(int ssl_result, const char* doing, Clock::time_point deadline) {
  const int error = SSL_get_error(ssl_.get(), ssl_result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
    ERR_clear_error();
    close();
    throw Failure(std::string("the connection broke while ") + doing);
  }
  const Until until = error == SSL_ERROR_WANT_WRITE ? Until::writable : Until::readable;
  const bool ready = co_await loop_.ready(socket_.get(), until, deadline);
  if (!ready) {
    close();
    throw Failure(std::string("no progress in time while ") + doing);
  }
}

Task<void> HttpsConnection::connect() {
  if (connected()) co_return;
  const auto deadline = Clock::now() + patience_;
  socket_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket_.get() < 0) throw Failure("no socket: " + std::generic_category().message(errno));
  const int on = 1;
  (void)setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(target_.port);
  const std::string literal = target_.host == "localhost" ? "127.0.0.1" : target_.host;
  if (inet_pton(AF_INET, literal.c_str(), &address.sin_addr) != 1) {
    throw Failure("the server must be on an IPv4 address or localhost, not " + target_.host);
  }
  const int code =
      ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (code != 0 && errno != EINPROGRESS) {
    const std::string why = std::generic_category().message(errno);
    close();
    throw Failure("cannot connect: " + why);
  }
  const bool ready = co_await loop_.ready(socket_.get(), Until::writable, deadline);
  ssl_.reset(SSL_new(&context_));
  SSL_set_fd(ssl_.get(), socket_.get());
  SSL_set_tlsext_host_name(ssl_.get(), target_.host.c_str());
  if (!ready) {
    close();
    throw Failure("cannot connect in time");
  }
  for (int done = SSL_connect(ssl_.get()); done != 1; done = SSL_connect(ssl_.get())) {
    co_await wait(done, "shaking hands", deadline);
  }
}

// Reads at least one octet more.
Task<void> HttpsConnection::fill(Clock::time_point deadline) {
  std::array<char, kPiece> piece;
  for (;;) {
    const int size = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
    if (size > 0) {
      received_.append(piece.data(), static_cast<std::size_t>(size));
      co_return;
    }
    co_await wait(size, "waiting for an answer", deadline);
  }
}

Task<Response> HttpsConnection::exchange(std::string method, std::string path,
                                         std::string content_type, std::string body) {
  co_await connect();
  const auto deadline = Clock::now() + patience_;
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: " + target_.host;
  if (target_.port != 443) request += ":" + std::to_string(target_.port);
  request += "\r\nUser-Agent: gatehouse-bench\r\n";
  if (method == "POST") {
    request += "Content-Type: " + content_type +
               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  request += "\r\n" + body;
  for (;;) {
    const int sent = SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
    if (sent > 0) break;
    co_await wait(sent, "sending a request", deadline);
  }

  std::size_t head = received_.find("\r\n\r\n");
  while (head == std::string::npos) {
    co_await fill(deadline);
    head = received_.find("\r\n\r\n");
  }
  Response response = parse_head(std::string_view(received_).substr(0, head));
  received_.erase(0, head + 4);
  if (method == "HEAD" || response.status == 204) co_return response;
  if (same_name(response.header("Transfer-Encoding"), "chunked")) {
    for (;;) {
      std::size_t line = received_.find("\r\n");
      while (line == std::string::npos) {
        co_await fill(deadline);
        line = received_.find("\r\n");
      }
      const std::size_t size = number_of(std::string_view(received_).substr(0, line), 16);
      while (received_.size() < line + 2 + size + 2) co_await fill(deadline);
      response.body += received_.substr(line + 2, size);
      received_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
  } else {
    const std::string_view length = response.header("Content-Length");
    const std::size_t size = length.empty() ? 0 : number_of(length, 10);
    while (received_.size() < size) co_await fill(deadline);
    response.body = received_.substr(0, size);
    received_.erase(0, size);
  }
  if (same_name(response.header("Connection"), "close")) close();
  co_return response;
}

}  // namespace gatehouse::bench
