#include "acme-server/http/connection.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http.h"
#include "acme-server/http/response.h"
#include "acme-server/http/tls.h"

namespace gatehouse::http {

namespace {

using Status = Transport::Status;

constexpr std::size_t kReadPiece = 16 * 1024;  // a TLS record
constexpr std::size_t kReadsPerTurn = 16;      // read() calls, however little each brings

// What a Respond holds. The last copy to go answers, if nobody has.
class Reply {
 public:
  Reply(std::weak_ptr<Connection> connection, std::uint64_t request)
      : connection_(std::move(connection)), request_(request) {}

  ~Reply() {
    if (!sent_) send(problem_response(500, "The server has lost this request."));
  }

  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  void send(Response response) {
    if (sent_.exchange(true)) return;
    if (const auto connection = connection_.lock())
      connection->answer(request_, std::move(response));
  }

 private:
  const std::weak_ptr<Connection> connection_;
  const std::uint64_t request_;
  std::atomic<bool> sent_ = false;
};

}  // namespace

Connection::Connection(std::shared_ptr<Shared> shared, Site& site, std::uint64_t id, int descriptor,
                       Peer peer, ConnectionTable::ClientKey client)
    : shared_(std::move(shared)),
      limits_(shared_->limits_now()),
      site_(site),
      id_(id),
      peer_(std::move(peer)),
      client_(std::move(client)),
      transport_(std::in_place, descriptor, site.tls.with([](TlsContext& tls) { return tls; })) {}

bool Connection::admit(std::unique_ptr<SocketLoop> loop) {
  loop_ = std::move(loop);
  const bool kept = shared_->open.with([&](Shared::Open& open) {
    if (open.draining) return false;
    open.all.emplace(id_, shared_from_this());
    shared_->tallies.connections.up();
    return true;
  });
  if (!kept) return false;
  post(&Connection::begin);
  return true;
}

void Connection::post(Step step) {
  loop_->post([weak = weak_from_this(), step] {
    if (const auto self = weak.lock()) self->run(step);
  });
}

// One thread at a time works on a connection: mostly that of the loop, and whoever answers. Each
// has done with it in the time of a write; who finds the other at work comes back by way of the
// loop.
void Connection::run(Step step, std::optional<std::uint64_t> wait_turn) noexcept {
  if (at_work_.test_and_set(std::memory_order_acquire)) {
    return loop_->post(
        [self = shared_from_this(), step, wait_turn] { self->run(step, wait_turn); });
  }
  if (phase_ != Phase::closed && (!wait_turn || *wait_turn == wait_turn_)) guarded(step);
  at_work_.clear(std::memory_order_release);
}

template <class Work>
void Connection::guarded(const Work& work) noexcept {
  try {
    std::invoke(work, this);
  } catch (
      const std::exception& error) {  // memory, or a bug: this connection's end, not the server's
    shared_->log.error("http.connection_failed",
                       {{"listener", site_.name}, {"error", error.what()}});
    close();
  }
}

// Lets the other connections of this loop have their turn, and goes on with `step`.
void Connection::yield(Step step) {
  loop_->post([self = shared_from_this(), turn = ++wait_turn_, step] { self->run(step, turn); });
}

void Connection::wait(Status wanted, Step step) {
  if (wanted == Status::yields) return yield(step);
  const auto task = [&](Step next) {
    return [self = shared_from_this(), turn = wait_turn_, next] { self->run(next, turn); };
  };
  ++wait_turn_;
  loop_->wait(
      wanted == Status::wants_write ? SocketLoop::Until::writable : SocketLoop::Until::readable,
      task(step), task(&Connection::close));
}

// A connection changes its deadline several times for each request, and nearly none is ever
// reached. So the alarm that is set already stays when it goes off earlier, and looks then what has
// become of the deadline.
void Connection::expire_in(std::chrono::milliseconds span) {
  deadline_ = SteadyClock::now() + span;
  if (alarm_ > deadline_) set_alarm(span);
}

void Connection::set_alarm(std::chrono::milliseconds span) {
  alarm_ = SteadyClock::now() + span;
  loop_->alarm(span, [weak = weak_from_this(), turn = ++alarm_turn_] {
    if (const auto self = weak.lock()) self->run_alarm(turn);
  });
}

void Connection::run_alarm(std::uint64_t turn) {
  if (at_work_.test_and_set(std::memory_order_acquire)) {
    return loop_->post([self = shared_from_this(), turn] { self->run_alarm(turn); });
  }
  if (phase_ != Phase::closed && turn == alarm_turn_) guarded(&Connection::on_alarm);
  at_work_.clear(std::memory_order_release);
}

void Connection::no_deadline() {
  deadline_ = kNever;
}

void Connection::on_alarm() {
  alarm_ = kNever;
  if (deadline_ == kNever) return;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now());
  if (left.count() > 0) return set_alarm(left);
  deadline_ = kNever;
  on_deadline();
}

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::idle:
      return end_if_idle();
    case Phase::reading:
      if (writing_) return close();  // it does not even take 100 Continue
      ++wait_turn_;
      loop_->cancel_wait();
      return refuse({408, "The request took longer than this server waits."});
    case Phase::handshaking:
    case Phase::writing:
    case Phase::lingering:
      return close();
    case Phase::handling:
    case Phase::closed:
      return;  // no deadline runs here
  }
}

void Connection::begin() {
  if (!transport_->encrypted()) return await_request();
  phase_ = Phase::handshaking;
  shared_->tallies.handshakes.up();
  const auto oldest = site_.handshakes.with([&](auto& all) -> std::shared_ptr<Connection> {
    all.emplace(id_, weak_from_this());
    if (all.size() <= limits_->handshakes) return nullptr;
    return all.extract(all.begin()).mapped().lock();
  });
  // Who is honest needs a few round trips; who has been silent longest is the one to lose.
  if (oldest) {
    shared_->tallies.refused.add();
    oldest->abort();
  }
  expire_in(limits_->handshake);
  shake_hands();
}

void Connection::leave_handshake() {
  shared_->tallies.handshakes.down();
  site_.handshakes.with([&](auto& all) { all.erase(id_); });
  enter_idle();
}

void Connection::shake_hands() {
  const auto status = transport_->handshake();
  switch (status) {
    case Status::done:
      leave_handshake();
      transport_->describe(peer_);
      return await_request();
    case Status::yields:
    case Status::wants_read:
    case Status::wants_write:
      return wait(status, &Connection::shake_hands);
    case Status::excessive:
      return end_excess();
    case Status::plain_http:
      return answer_plain_http();
    case Status::ended:
    case Status::broken:
      return close();
  }
}

// Answers in kind: to who sent it, a TLS alert would be noise.
void Connection::answer_plain_http() {
  leave_handshake();
  leave_idle();
  shared_->tallies.failed_handshakes.add();
  shared_->tallies.rejected.add();
  shared_->log.info("http.plain_on_tls_port",
                    {{"listener", site_.name}, {"client", peer_.address}});
  const auto origin = std::ranges::find_if(
      site_.origins, [](const std::string& each) { return each.starts_with("https://"); });
  const std::string text =
      "This port speaks TLS, and the request came in plain HTTP. Use https:// in place of http://" +
      (origin == site_.origins.end() ? std::string() : ", as in " + *origin) + ".\n";
  context_ = {.head_request = transport_->abandon_tls(), .http_1_1 = true, .close = true};
  const Response response{.status = 400,
                          .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
                          .body = std::make_shared<const std::string>(text)};
  send(to_wire(response, context_, shared_->clock.now()).value());
}

// The peer sent many TLS records and no data: a client that means to be served never does.
void Connection::end_excess() {
  shared_->tallies.refused.add();
  shared_->log.info("http.connection_ended", {{"listener", site_.name},
                                              {"client", peer_.address},
                                              {"why", "too many TLS records without data"}});
  close();
}

void Connection::await_request() {
  if (shared_->draining) return end_if_idle();
  if (reader_) {  // the next request has already begun
    phase_ = Phase::reading;
    expire_in(limits_->read);
    return read();
  }
  if (!waiting_) enter_idle();
  expire_in(limits_->idle);
  if (transport_->has_pending()) return read();
  wait(Status::wants_read, &Connection::read);
}

void Connection::read() {
  if (!reader_) reader_ = new_reader({});
  for (std::size_t reads = 0; !advance(); ++reads) {
    if (reads == kReadsPerTurn) return yield(&Connection::read);
    std::array<char, kReadPiece> piece;
    const auto [status, bytes] = transport_->read(piece);
    switch (status) {
      case Status::done:
        if (phase_ == Phase::idle) {
          leave_idle();
          phase_ = Phase::reading;
          expire_in(limits_->read);
        }
        reader_->append({piece.data(), bytes});
        break;
      case Status::yields:
      case Status::wants_read:
      case Status::wants_write:
        if (reader_->empty()) reader_.reset();  // an idle connection keeps no buffer
        return wait(status, &Connection::read);
      case Status::excessive:
        return end_excess();
      case Status::plain_http:
      case Status::ended:
      case Status::broken:
        return close();
    }
  }
}

// True when the connection has gone on to something else than reading.
bool Connection::advance() {
  const auto progress = reader_->advance(site_.origins);
  if (!progress) {
    refuse(progress.error());
    return true;
  }
  switch (*progress) {
    case RequestReader::Progress::needs_more:
      return false;
    case RequestReader::Progress::wants_continue:
      writing_ = std::make_unique<Writing>();
      writing_->head = "HTTP/1.1 100 Continue\r\n\r\n";
      writing_->interim = true;
      write();
      return true;
    case RequestReader::Progress::complete:
      handle();
      return true;
  }
  ACME_CHECK(false);
}

void Connection::handle() {
  phase_ = Phase::handling;
  transport_->request_complete();
  no_deadline();  // how long the answer takes is the application's matter
  RequestHead head = reader_->take_head();
  context_ = {
      .head_request = head.method == "HEAD", .http_1_1 = head.http_1_1, .close = !head.keep_alive};
  Request request{.listener = site_.name,
                  .method = std::move(head.method),
                  .target = std::move(head.target),
                  .headers = std::move(head.headers),
                  .body = reader_->take_body(),
                  .peer = peer_,
                  .id = shared_->next_id.fetch_add(1)};
  auto rest = reader_->take_rest();
  reader_.reset();
  if (!rest.empty()) reader_ = new_reader(std::move(rest));
  awaited_ = request.id;
  shared_->tallies.in_flight.up();
  shared_->tallies.handled.add();
  const auto reply = std::make_shared<Reply>(weak_from_this(), request.id);
  try {
    shared_->handler(std::move(request),
                     [reply](Response response) { reply->send(std::move(response)); });
  } catch (const std::exception& error) {
    shared_->log.error("http.handler_failed", {{"listener", site_.name}, {"error", error.what()}});
    reply->send(problem_response(500, "The server has failed."));
  }
}

void Connection::refuse(const Refusal& refusal) {
  shared_->tallies.rejected.add();
  shared_->log.info("http.rejected", {{"listener", site_.name},
                                      {"client", peer_.address},
                                      {"status", refusal.status},
                                      {"detail", refusal.detail}});
  // What follows in the stream cannot be trusted to be a request: it is never read.
  context_ = {
      .head_request = reader_ && reader_->is_head_request(), .http_1_1 = true, .close = true};
  reader_.reset();
  send(to_wire(problem_response(refusal), context_, shared_->clock.now()).value());
}

// The thread that has the answer writes it, if it can: the loop's would have to be woken for it.
void Connection::answer(std::uint64_t request, Response response) {
  if (at_work_.test_and_set(std::memory_order_acquire)) {
    return loop_->post([self = shared_from_this(), request, response = std::move(response)] {
      self->answer(request, response);
    });
  }
  if (phase_ == Phase::handling && awaited_ == request) {
    guarded([&](Connection* self) { self->on_answer(request, response); });
  }
  at_work_.clear(std::memory_order_release);
}

void Connection::on_answer(std::uint64_t request, const Response& response) {
  context_.close |= shared_->draining;
  auto wire = to_wire(response, context_, shared_->clock.now());
  if (!wire) {
    shared_->log.error("http.bad_answer",
                       {{"listener", site_.name}, {"request", request}, {"error", wire.error()}});
    wire = to_wire(problem_response(500, "The server has failed."), context_, shared_->clock.now());
  }
  send(std::move(wire).value());
}

void Connection::end_if_idle() {
  if (phase_ == Phase::handshaking) return close();
  if (phase_ != Phase::idle) return;  // written() ends it
  transport_->finish();
  close();
}

void Connection::end_if_unused() {
  if (phase_ != Phase::idle) return;
  if (!transport_->has_waiting()) return end_if_idle();
  leave_idle();
  enter_idle();  // it has been used just now
}

void Connection::enter_idle() {
  phase_ = Phase::idle;
  waiting_ = site_.connections.idle(client_, weak_from_this());
  shared_->tallies.idle.up();
}

void Connection::leave_idle() {
  site_.connections.busy(client_, *std::exchange(waiting_, std::nullopt));
  shared_->tallies.idle.down();
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::handshaking) {
    leave_handshake();
    shared_->tallies.failed_handshakes.add();
  }
  if (waiting_) leave_idle();
  if (std::exchange(awaited_, 0) != 0) shared_->tallies.in_flight.down();
  phase_ = Phase::closed;
  ++wait_turn_;
  ++alarm_turn_;
  loop_->cancel_alarm();
  reader_.reset();
  writing_.reset();
  transport_.reset();
  loop_->close();
  site_.connections.leave(client_);
  shared_->tallies.connections.down();
  // Its last owner may be here: out of the lock before it goes.
  const auto self = shared_->open.with([&](Shared::Open& open) {
    auto node = open.all.extract(id_);
    return node ? std::move(node.mapped()) : nullptr;
  });
  shared_->open.notify_all();
}

std::unique_ptr<RequestReader> Connection::new_reader(std::string first) const {
  return std::make_unique<RequestReader>(*limits_, shared_->make_parser(*limits_),
                                         std::move(first));
}

}  // namespace gatehouse::http
