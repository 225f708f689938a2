// The only file that includes Boost: Asio says when a socket is ready, Beast parses what framing.h
// has let pass. An io_context per I/O thread; a connection, like a listener, stays with the one it
// was given, so that an event wakes one thread and no strand is needed.
#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>  // Asio 1.74 forgets it in C++20 mode
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/http/connection.h"
#include "acme-server/http/connection_table.h"
#include "acme-server/http/engine.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"
#include "acme-server/http/request_reader.h"
#include "acme-server/http/response.h"
#include "acme-server/http/socket.h"
#include "acme-server/http/tls.h"

namespace gatehouse::http {

namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using boost::system::error_code;
using Context = asio::io_context::executor_type;
using ReadySocket = asio::posix::basic_stream_descriptor<Context>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Context>;

// Descriptors and memory come back when connections end: soon, but not at once.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr int kAcceptsPerTurn = 64;

class BeastParser final : public MessageParser {
 public:
  explicit BeastParser(const Limits& limits) {
    parser_.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser_.body_limit(limits.body_bytes);
    parser_.eager(true);
  }

  Expected<std::size_t, Refusal> put(std::string_view bytes) override {
    error_code error;
    const auto used = parser_.put(asio::const_buffer(bytes.data(), bytes.size()), error);
    if (!error || error == beast_http::error::need_more) return used;
    if (error == beast_http::error::body_limit) {
      return Unexpected{Refusal{413, "The body is larger than this server takes."}};
    }
    return Unexpected{Refusal{400, "The request cannot be parsed: " + error.message() + "."}};
  }

  bool header_done() const override { return parser_.is_header_done(); }

  bool done() const override { return parser_.is_done(); }

  std::string_view method() const override {
    const auto text = parser_.get().method_string();
    return {text.data(), text.size()};
  }

  bool chunked() const override { return parser_.chunked(); }

  std::optional<std::uint64_t> content_length() const override {
    if (const auto length = parser_.content_length()) return *length;
    return std::nullopt;
  }

  std::string take_body() override { return std::move(parser_.get().body()); }

 private:
  beast_http::request_parser<beast_http::string_body> parser_;
};

// A listener at work.
struct ListeningSite {
  ListeningSite(asio::io_context& io, Listener listener, const Limits& limits, TlsContext context,
                ListeningSocket bound)
      : site(std::move(listener), limits, std::move(context)),
        socket(std::move(bound)),
        acceptor(io.get_executor()),
        pause(acceptor.get_executor()) {
    acceptor.assign(socket.get());
    (void)socket.release();  // the acceptor closes it
  }

  Site site;
  ListeningSocket socket;
  ReadySocket acceptor;
  Timer pause;
  bool exhausted = false;
};

// Everything that runs. Held by Engine and by every connection's loop, so that it outlives the last
// of them.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const EngineOptions& options, const Clock& clock, Log& log, Metrics& metrics)
      : shared(options.limits, clock, log, metrics,
               [](const Limits& limits) { return std::make_unique<BeastParser>(limits); }) {
    for (std::size_t i = 0; i < options.threads; ++i) {
      contexts.push_back(std::make_unique<asio::io_context>());
    }
  }

  std::vector<ListenerAddress> open(std::vector<Listener> listeners);
  void accept(ListeningSite& listening);
  bool drain();

  // Runs `io` on the calling thread until it has no more work.
  void run(asio::io_context& io);

  Shared shared;
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  std::vector<std::unique_ptr<ListeningSite>> sites;

 private:
  // In turn. Any thread.
  asio::io_context& next_context() { return *contexts[given_++ % contexts.size()]; }

  std::atomic<std::size_t> given_ = 0;

  void take_waiting(ListeningSite& listening);
  void admit(Site& site, Accepted accepted);
  void turn_away(const Site& site, const Accepted& accepted, ConnectionTable::Verdict verdict);
};

class AsioLoop final : public SocketLoop {
 public:
  // Takes over the descriptor, unless it throws.
  AsioLoop(std::shared_ptr<Core> core, asio::io_context& io, int descriptor)
      : core_(std::move(core)), io_(io), timer_(io), socket_(io, descriptor) {}

  void post(Task task) override { asio::post(io_, std::move(task)); }

  void wait(Until until, Task ready, Task failed) override {
    const auto direction =
        until == Until::writable ? ReadySocket::wait_write : ReadySocket::wait_read;
    socket_.async_wait(direction,
                       [ready = std::move(ready), failed = std::move(failed)](error_code error) {
                         if (!error)
                           ready();
                         else if (error != asio::error::operation_aborted)
                           failed();
                       });
  }

  void cancel_wait() override { socket_.cancel(); }

  void alarm(std::chrono::milliseconds span, Task expired) override {
    timer_.expires_after(span);
    timer_.async_wait([expired = std::move(expired)](error_code error) {
      if (!error) expired();
    });
  }

  void cancel_alarm() override { timer_.cancel(); }

  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  const std::shared_ptr<Core> core_;  // first, so that it goes last
  asio::io_context& io_;
  Timer timer_;
  ReadySocket socket_;
};

std::vector<ListenerAddress> Core::open(std::vector<Listener> listeners) {
  std::vector<ListenerAddress> bound;
  std::vector<std::unique_ptr<ListeningSite>> opened;
  for (Listener& listener : listeners) {
    for (const auto& other : opened) {
      if (other->site.name == listener.name) {
        throw std::runtime_error("there are two listeners \"" + listener.name +
                                 "\": give each its own name");
      }
    }
    TlsContext context = listener.tls ? make_tls_context(listener.name, *listener.tls) : nullptr;
    ListeningSocket socket = open_listener(listener);
    bound.push_back(socket.address());
    opened.push_back(std::make_unique<ListeningSite>(next_context(), std::move(listener),
                                                     *shared.limits_now(), std::move(context),
                                                     std::move(socket)));
  }
  sites = std::move(opened);
  return bound;
}

void Core::accept(ListeningSite& listening) {
  listening.acceptor.async_wait(ReadySocket::wait_read, [this, &listening](error_code error) {
    if (!error && listening.acceptor.is_open()) take_waiting(listening);
  });
}

void Core::take_waiting(ListeningSite& listening) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Accepted next = accept_next(listening.acceptor.native_handle());
    switch (next.status) {
      case AcceptStatus::accepted:
        listening.exhausted = false;
        admit(listening.site, std::move(next));
        continue;
      case AcceptStatus::none_waiting:
        return accept(listening);
      case AcceptStatus::exhausted:
        shared.tallies.accept_pauses.add();
        if (!std::exchange(listening.exhausted, true)) {
          shared.log.warning("http.accept_exhausted", {{"listener", listening.site.name}});
        }
        listening.pause.expires_after(kAcceptPause);
        listening.pause.async_wait([this, &listening](error_code error) {
          if (!error && listening.acceptor.is_open()) accept(listening);
        });
        return;
    }
  }
  accept(listening);
}

void Core::admit(Site& site, Accepted accepted) {
  shared.tallies.accepted.add();
  if (!site.lets_in(accepted.peer)) {
    shared.tallies.refused.add();
    shared.log.warning("http.peer_refused",
                       {{"listener", site.name},
                        {"uid", accepted.peer.uid ? std::to_string(*accepted.peer.uid) : "none"}});
    return;
  }
  const ConnectionTable::ClientKey client = site.connections.key_of(accepted.peer);
  const auto admission = site.connections.admit(client);
  if (admission.evicted) {
    shared.tallies.evicted.add();
    admission.evicted->evict();
  }
  if (admission.verdict != ConnectionTable::Verdict::admitted) {
    return turn_away(site, accepted, admission.verdict);
  }
  bool kept = false;
  try {
    const auto connection = std::make_shared<Connection>(
        std::shared_ptr<Shared>(shared_from_this(), &shared), site, shared.next_id.fetch_add(1),
        accepted.descriptor.get(), std::move(accepted.peer), client);
    auto loop =
        std::make_unique<AsioLoop>(shared_from_this(), next_context(), accepted.descriptor.get());
    (void)accepted.descriptor.release();
    kept = connection->admit(std::move(loop));
  } catch (const std::exception& error) {
    shared.tallies.refused.add();
    shared.log.error("http.connection_failed", {{"listener", site.name}, {"error", error.what()}});
  }
  if (!kept) site.connections.leave(client);
}

void Core::turn_away(const Site& site, const Accepted& accepted, ConnectionTable::Verdict verdict) {
  shared.tallies.refused.add();
  const bool of_client = verdict == ConnectionTable::Verdict::client_full;
  shared.log.debug("http.connection_refused",
                   {{"listener", site.name},
                    {"client", accepted.peer.address},
                    {"limit", of_client ? "connections_per_address" : "connections"}});
  if (site.encrypted) return;  // a handshake for the sake of a refusal is what a flood would like
  Transport transport(accepted.descriptor.get(), nullptr);
  const auto wire =
      to_wire(problem_response(503, of_client ? "Your address has too many connections to this "
                                                "server open; close some and try again."
                                              : "The server has too many connections."),
              {.close = true}, shared.clock.now());
  (void)transport.write(wire->head + *wire->body);
  transport.finish();
}

void Core::run(asio::io_context& io) {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& error) {  // a bug, but not the end of all others
      shared.log.error("http.thread_failed", {{"error", error.what()}});
    }
  }
}

bool Core::drain() {
  shared.draining = true;
  auto all = shared.open.with([](Shared::Open& open) {
    open.draining = true;
    return open.all;
  });
  for (const auto& listening : sites) {
    asio::post(listening->acceptor.get_executor(), [&listening = *listening] {
      error_code ignored;
      listening.acceptor.close(ignored);
      listening.pause.cancel();
    });
  }
  for (const auto& [id, connection] : all) connection->drain();
  all.clear();
  const auto none_left = [](const Shared::Open& open) { return open.all.empty(); };
  shared.open.wait_for(shared.limits_now()->drain, none_left,
                       [&](Shared::Open& open) { all = open.all; });
  const bool clean = shared.tallies.in_flight.value() == 0;
  for (const auto& [id, connection] : all) connection->abort();
  all.clear();
  shared.open.wait(none_left, [](Shared::Open&) {});
  return clean;
}

}  // namespace

struct Engine::Impl {
  using Work = asio::executor_work_guard<Context>;

  std::shared_ptr<Core> core;
  std::vector<Work> work;            // of each context, while it serves
  std::vector<std::thread> threads;  // one for each context
  std::optional<bool> drained;
};

Engine::Engine(const EngineOptions& options, const Clock& clock, Log& log, Metrics& metrics)
    : impl_(std::make_unique<Impl>()) {
  ACME_CHECK(options.threads > 0);
  impl_->core = std::make_shared<Core>(options, clock, log, metrics);
}

Engine::~Engine() {
  drain_and_stop();
}

std::vector<ListenerAddress> Engine::start(std::vector<Listener> listeners, Handler handler) {
  Impl& impl = *impl_;
  ACME_CHECK(impl.work.empty() && !impl.drained);
  (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets without MSG_NOSIGNAL
  auto bound = impl.core->open(std::move(listeners));
  impl.core->shared.handler = std::move(handler);
  for (const auto& io : impl.core->contexts) {
    impl.work.push_back(asio::make_work_guard(*io));
    impl.threads.emplace_back([core = impl.core, &io = *io] { core->run(io); });
  }
  for (const auto& listening : impl.core->sites) {
    asio::post(listening->acceptor.get_executor(),
               [core = impl.core.get(), &listening = *listening] { core->accept(listening); });
  }
  return bound;
}

void Engine::reload_tls(const std::string& listener, const TlsOptions& options) {
  for (const auto& listening : impl_->core->sites) {
    if (listening->site.name != listener || !listening->site.encrypted) continue;
    auto context = make_tls_context(listener, options);
    listening->site.tls.with([&](TlsContext& tls) { tls.swap(context); });
    return;
  }
  throw std::runtime_error("there is no TLS listener \"" + listener + "\"");
}

void Engine::set_proxies(const std::string& listener, const std::vector<IpPrefix>& proxies) {
  for (const auto& listening : impl_->core->sites) {
    if (listening->site.name == listener) return listening->site.connections.set_proxies(proxies);
  }
  throw std::runtime_error("there is no listener \"" + listener + "\"");
}

void Engine::set_limits(const Limits& limits) {
  Core& core = *impl_->core;
  core.shared.limits.with([&](auto& held) { held = std::make_shared<const Limits>(limits); });
  for (const auto& listening : core.sites) listening->site.connections.set_limits(limits);
}

bool Engine::drain_and_stop() {
  Impl& impl = *impl_;
  if (impl.drained) return *impl.drained;
  impl.drained = impl.work.empty() || impl.core->drain();
  impl.work.clear();
  for (auto& thread : impl.threads) thread.join();
  impl.threads.clear();
  impl.core->sites.clear();
  impl.core->shared.handler = nullptr;
  return *impl.drained;
}

Stats Engine::stats() const {
  return impl_->core->shared.tallies.stats();
}

}  // namespace gatehouse::http
