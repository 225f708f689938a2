// One client's connection: handshake, requests one after another, answers in their order,
// deadlines, the end. Knows no event loop, only what it asks of one.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/http/connection_table.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"
#include "acme-server/http/request_reader.h"
#include "acme-server/http/response.h"
#include "acme-server/http/tallies.h"
#include "acme-server/http/tls.h"

namespace gatehouse::http {

// The event loop's side of one connection. Owns the socket.
class SocketLoop {
 public:
  using Task = std::function<void()>;
  enum class Until { readable, writable };

  virtual ~SocketLoop() = default;

  // Any thread, also after the loop has ended: then the task is dropped.
  virtual void post(Task task) = 0;

  // By one thread at a time, any. wait(): then `ready`, or `failed` if the socket cannot be waited
  // for; neither if it is closed. alarm(): then `expired`, in place of the alarm before. A task
  // that was due when its wait was cancelled or its alarm replaced may still run.
  virtual void wait(Until until, Task ready, Task failed) = 0;
  virtual void cancel_wait() = 0;
  virtual void alarm(std::chrono::milliseconds span, Task expired) = 0;
  virtual void cancel_alarm() = 0;
  virtual void close() = 0;
};

class Connection;

// A listener, as its connections know it.
struct Site {
  Site(Listener listener, const Limits& limits, TlsContext context)
      : name(std::move(listener.name)),
        origins(std::move(listener.origins)),
        uids(std::move(listener.uids)),
        encrypted(context != nullptr),
        tls(std::move(context)),
        connections(limits, std::move(listener.proxies)) {}

  const std::string name;
  const std::vector<std::string> origins;
  const std::vector<std::uint32_t> uids;  // who may connect; empty: anybody
  const bool encrypted;
  Guarded<TlsContext> tls;  // of new connections
  ConnectionTable connections;

  // What the kernel says of the other end, never what it says of itself.
  bool lets_in(const Peer& peer) const {
    return uids.empty() || (peer.uid && std::ranges::find(uids, *peer.uid) != uids.end());
  }

  Guarded<std::map<std::uint64_t, std::weak_ptr<Connection>>> handshakes;  // the oldest first
};

// What all connections of an engine share.
struct Shared {
  using MakeParser = std::function<std::unique_ptr<MessageParser>(const Limits&)>;

  Shared(const Limits& the_limits, const Clock& the_clock, Log& the_log, Metrics& metrics,
         MakeParser parsers)
      : limits(std::make_shared<const Limits>(the_limits)),
        clock(the_clock),
        log(the_log),
        make_parser(std::move(parsers)),
        tallies(metrics) {}

  struct Open {
    std::map<std::uint64_t, std::shared_ptr<Connection>> all;
    bool draining = false;
  };

  std::shared_ptr<const Limits> limits_now() {
    return limits.with([](const auto& held) { return held; });
  }

  Guarded<std::shared_ptr<const Limits>> limits;  // of new connections
  const Clock& clock;
  Log& log;
  const MakeParser make_parser;
  Handler handler;
  Tallies tallies;
  Guarded<Open> open;                  // a connection is in here from admit() to its close()
  std::atomic<bool> draining = false;  // Open::draining, without the lock
  std::atomic<std::uint64_t> next_id = 1;
};

// Owned by Shared::open and by the tasks that wait for it; what the application holds of it is
// weak, so that a late answer finds nobody rather than somebody else.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  // `site` lives as long as `shared`, and has admitted `client`. `descriptor` is the loop's.
  Connection(std::shared_ptr<Shared> shared, Site& site, std::uint64_t id, int descriptor,
             Peer peer, ConnectionTable::ClientKey client);

  // Makes it one of Shared::open and serves it; from then on it leaves the site's table itself.
  // False when the engine is draining. Once, from any thread.
  bool admit(std::unique_ptr<SocketLoop> loop);

  // Any thread, once admitted.
  void drain() { post(&Connection::end_if_idle); }  // at once when idle, else after the answer

  void abort() { post(&Connection::close); }

  // Ends it for the sake of others, unless a request has come meanwhile.
  void evict() { post(&Connection::end_if_unused); }

  void answer(std::uint64_t request, Response response);  // ignored unless it is what is waited for

 private:
  enum class Phase { handshaking, idle, reading, handling, writing, lingering, closed };
  using Step = void (Connection::*)();

  // Limits::write is for each stride of an answer.
  static constexpr std::size_t kWriteStride = 256 * 1024;

  struct Writing {
    std::string head;
    std::shared_ptr<const std::string> body;
    std::size_t sent = 0;  // of both
    std::size_t stride_end = kWriteStride;
    bool interim = false;  // 100 Continue: the request is still being read
    bool close = false;

    std::string_view rest() const;
  };

  void post(Step step);
  // `wait_turn`: only if that wait is still the newest.
  void run(Step step, std::optional<std::uint64_t> wait_turn = {}) noexcept;
  void run_alarm(std::uint64_t turn);
  // Runs `work` on this and closes when it throws. at_work_ is held.
  template <class Work>
  void guarded(const Work& work) noexcept;
  void wait(Transport::Status wanted, Step step);
  void yield(Step step);
  void expire_in(std::chrono::milliseconds span);
  void no_deadline();
  void set_alarm(std::chrono::milliseconds span);
  void on_alarm();
  void on_deadline();

  void begin();
  void shake_hands();
  void leave_handshake();
  void end_excess();
  void answer_plain_http();
  void await_request();
  void read();
  bool advance();
  void handle();
  void refuse(const Refusal& refusal);
  void on_answer(std::uint64_t request, const Response& response);
  void send(WireResponse wire);
  void write();
  void written();
  void end_if_idle();
  void end_if_unused();
  void enter_idle();
  void leave_idle();
  void linger();
  void close();
  std::unique_ptr<RequestReader> new_reader(std::string first) const;

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<const Limits> limits_;  // those in force when it came
  Site& site_;
  const std::uint64_t id_;
  Peer peer_;
  const ConnectionTable::ClientKey client_;
  std::optional<std::uint64_t> waiting_;  // in Phase::idle: its ticket of the site's table
  std::unique_ptr<SocketLoop> loop_;
  std::optional<Transport>
      transport_;  // none once closed: the descriptor's number may be another's by then
  Phase phase_ = Phase::idle;
  std::uint64_t wait_turn_ =
      0;  // a task of a wait that is over finds another number here, and does nothing
  std::atomic_flag at_work_;  // held by the thread that works on what stands here
  using SteadyClock = std::chrono::steady_clock;
  static constexpr SteadyClock::time_point kNever = SteadyClock::time_point::max();
  SteadyClock::time_point deadline_ = kNever;  // of the phase
  SteadyClock::time_point alarm_ = kNever;     // when the alarm that is set goes off
  std::uint64_t alarm_turn_ = 0;
  std::uint64_t awaited_ = 0;  // the request whose answer is to come, or being written; 0: none
  AnswerContext context_;
  std::unique_ptr<RequestReader> reader_;
  std::unique_ptr<Writing> writing_;
  std::size_t discards_ = 0;
};

}  // namespace gatehouse::http
