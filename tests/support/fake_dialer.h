// FakeDialer: peers that answer as a test tells them to, in memory and without waiting.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::testing {

// An endpoint without a script refuses. Endpoints are texts: "10.0.0.1:80". Safe to call from many
// threads.
class FakeDialer final : public net::Dialer {
 public:
  // Gets what was written so far and gives the whole answer; called once, at the first read.
  using Peer = std::function<std::string(const std::string& request)>;

  void answer(const std::string& endpoint, Peer peer) {
    state_.with([&](State& state) { state.peers[endpoint] = {.peer = std::move(peer)}; });
  }

  void answer(const std::string& endpoint, std::string response) {
    answer(endpoint, [response = std::move(response)](const std::string&) { return response; });
  }

  void answer_http(const std::string& endpoint, const std::string& body) {
    answer(endpoint,
           "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void redirect(const std::string& endpoint, const std::string& location, int status = 302) {
    answer(endpoint, "HTTP/1.1 " + std::to_string(status) + " Moved\r\nLocation: " + location +
                         "\r\nContent-Length: 0\r\n\r\n");
  }

  // Every dial there fails like this.
  void fail(const std::string& endpoint, net::DialError error) {
    state_.with([&](State& state) { state.peers[endpoint] = {.dial_error = std::move(error)}; });
  }

  // Takes the connection, answers with `response` and then breaks off like this instead of closing.
  void break_off(const std::string& endpoint, net::IoError error, std::string response = "") {
    state_.with([&](State& state) {
      state.peers[endpoint] = {
          .peer = [response = std::move(response)](const std::string&) { return response; },
          .end = std::move(error)};
    });
  }

  // How many octets a read gives at most.
  void read_at_most(std::size_t size) {
    state_.with([&](State& state) { state.read_size = size; });
  }

  // Whom anybody tried to reach, in order.
  std::vector<std::string> dialled() const {
    return state_.with([](const State& state) { return state.dialled; });
  }

  // What was written to whom, in the order of the first reads.
  std::vector<std::string> requests() const {
    return requests_->with([](const std::vector<std::string>& all) { return all; });
  }

  Expected<std::unique_ptr<net::Stream>, net::DialError> dial(const net::Endpoint& endpoint,
                                                              Deadline) override {
    using Result = Expected<std::unique_ptr<net::Stream>, net::DialError>;
    return state_.with([&](State& state) -> Result {
      const std::string where = endpoint.to_string();
      state.dialled.push_back(where);
      const auto entry = state.peers.find(where);
      if (entry == state.peers.end()) {
        return Unexpected{net::DialError{.kind = net::DialError::Kind::refused,
                                         .detail = "refused the connection"}};
      }
      if (entry->second.dial_error) return Unexpected{*entry->second.dial_error};
      return std::unique_ptr<net::Stream>(std::make_unique<FakeStream>(
          entry->second.peer, entry->second.end, state.read_size, requests_));
    });
  }

 private:
  using Requests = std::shared_ptr<Guarded<std::vector<std::string>>>;

  class FakeStream final : public net::Stream {
   public:
    FakeStream(Peer peer, std::optional<net::IoError> end, std::size_t read_size, Requests requests)
        : peer_(std::move(peer)),
          end_(std::move(end)),
          read_size_(read_size),
          requests_(std::move(requests)) {}

    Expected<std::size_t, net::IoError> read(std::span<std::uint8_t> out, Deadline) override {
      if (!answered_) {
        answered_ = true;
        requests_->with([&](std::vector<std::string>& all) { all.push_back(written_); });
        response_ = peer_(written_);
      }
      const std::size_t count = std::min({out.size(), read_size_, response_.size() - at_});
      if (count == 0 && end_) return Unexpected{*end_};
      std::copy_n(response_.begin() + static_cast<std::ptrdiff_t>(at_), count, out.begin());
      at_ += count;
      return count;
    }

    std::optional<net::IoError> write(ByteView bytes, Deadline) override {
      written_ += as_text(bytes);
      return std::nullopt;
    }

   private:
    Peer peer_;
    std::optional<net::IoError> end_;
    std::size_t read_size_;
    Requests requests_;
    std::string written_;
    std::string response_;
    std::size_t at_ = 0;
    bool answered_ = false;
  };

  struct Entry {
    Peer peer = {};
    std::optional<net::DialError> dial_error = {};
    std::optional<net::IoError> end = {};
  };

  struct State {
    std::map<std::string, Entry> peers;
    std::vector<std::string> dialled;
    std::size_t read_size = 4096;
  };

  Guarded<State> state_;
  Requests requests_ = std::make_shared<Guarded<std::vector<std::string>>>();
};

}  // namespace gatehouse::testing
