// Connection's second half: an answer goes out, byte by byte, and what comes after it.
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "acme-server/http/connection.h"
#include "acme-server/http/response.h"
#include "acme-server/http/tls.h"

namespace gatehouse::http {

namespace {

using Status = Transport::Status;

constexpr std::size_t kJoinBody = 16 * 1024;    // up to here header and body go out as one
constexpr std::size_t kWritePiece = 64 * 1024;  // one write()
constexpr std::size_t kWriteTurn =
    256 * 1024;  // then the other connections of this thread have their turn
constexpr std::size_t kMaxDiscards = 64;    // of 16 KiB, from a client that was told to stop
constexpr std::chrono::seconds kLinger{2};  // for the client to read the last answer

}  // namespace

std::string_view Connection::Writing::rest() const {
  if (sent < head.size()) return std::string_view(head).substr(sent);
  return body ? std::string_view(*body).substr(sent - head.size()) : std::string_view();
}

void Connection::send(WireResponse wire) {
  phase_ = Phase::writing;
  expire_in(limits_->write);
  writing_ = std::make_unique<Writing>();
  writing_->head = std::move(wire.head);
  writing_->body = std::move(wire.body);
  writing_->close = wire.close;
  if (writing_->body && writing_->body->size() <= kJoinBody) {
    writing_->head += *writing_->body;
    writing_->body.reset();
  }
  write();
}

void Connection::write() {
  std::size_t in_turn = 0;
  for (auto rest = writing_->rest(); !rest.empty(); rest = writing_->rest()) {
    if (in_turn >= kWriteTurn) return post(&Connection::write);
    const auto [status, bytes] = transport_->write(rest.substr(0, kWritePiece));
    switch (status) {
      case Status::done:
        writing_->sent += bytes;
        in_turn += bytes;
        if (writing_->sent >= writing_->stride_end) {
          writing_->stride_end = writing_->sent + kWriteStride;
          expire_in(limits_->write);
        }
        break;
      case Status::yields:
      case Status::wants_read:
      case Status::wants_write:
        return wait(status, &Connection::write);
      case Status::excessive:
        return end_excess();
      case Status::plain_http:
      case Status::ended:
      case Status::broken:
        return close();
    }
  }
  written();
}

void Connection::written() {
  const auto done = std::exchange(writing_, nullptr);
  if (done->interim) return read();
  if (std::exchange(awaited_, 0) != 0) shared_->tallies.in_flight.down();
  if (!done->close && !shared_->draining) return await_request();
  // RFC 9112 section 9.6: closing with unread input would reset the connection and take the answer
  // with it, so we close our half and let the client read to the end.
  reader_.reset();
  transport_->finish();
  phase_ = Phase::lingering;
  expire_in(kLinger);
  linger();
}

void Connection::linger() {
  while (discards_++ < kMaxDiscards) {
    const auto status = transport_->discard().status;
    if (status == Status::wants_read) return wait(status, &Connection::linger);
    if (status != Status::done) break;
  }
  close();
}

}  // namespace gatehouse::http
