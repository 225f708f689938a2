#include "acme-server/http/connection_table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/http/connection.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

namespace {

// The last sixteenth of the limit is kept free by evicting: an eviction takes a turn of another
// loop, and connections go on coming meanwhile.
constexpr std::size_t kNearlyFull = 16;

constexpr std::size_t kNetworkOctets = 8;  // of an IPv6 address: its /64

}  // namespace

const ConnectionTable::ClientKey ConnectionTable::kExempt;

ConnectionTable::ConnectionTable(const Limits& limits, std::vector<IpPrefix> proxies)
    : proxies_(std::move(proxies)) {
  set_limits(limits);
}

void ConnectionTable::set_limits(const Limits& limits) {
  state_.with([&](State& state) {
    state.limit = limits.connections;
    state.client_limit = limits.connections_per_address;
  });
}

ConnectionTable::ClientKey ConnectionTable::key_of(const Peer& peer) const {
  const auto address = IpAddress::parse(peer.address);
  if (!address) return kExempt;
  const bool proxy = proxies_.with([&](const std::vector<IpPrefix>& proxies) {
    return std::ranges::any_of(proxies,
                               [&](const IpPrefix& prefix) { return prefix.contains(*address); });
  });
  if (proxy) return kExempt;
  const auto octets = address->bytes();
  return {octets.begin(),
          octets.begin() + static_cast<std::ptrdiff_t>(std::min(octets.size(), kNetworkOctets))};
}

void ConnectionTable::set_proxies(std::vector<IpPrefix> proxies) {
  proxies_.with([&](std::vector<IpPrefix>& held) { held = std::move(proxies); });
}

// Changes what is idle of `client`, and with it its rank.
void ConnectionTable::State::change(Client& client, const auto& what) {
  const auto rank = [&] {
    return Rank{
        .idle = client.idle.size(), .oldest = client.idle.begin()->first, .client = &client};
  };
  if (!client.idle.empty()) ranks.erase(rank());
  what(client.idle);
  if (!client.idle.empty()) ranks.insert(rank());
}

std::shared_ptr<Connection> ConnectionTable::State::evict(Client& client) {
  std::shared_ptr<Connection> evicted;
  change(client, [&](auto& idle) {
    if (!idle.empty()) evicted = idle.extract(idle.begin()).mapped().lock();
  });
  return evicted;
}

ConnectionTable::Admission ConnectionTable::admit(const ClientKey& key) {
  return state_.with([&](State& state) -> Admission {
    Admission admission;
    Client& client = state.clients[key];
    if (key != kExempt && client.open >= state.client_limit) {
      admission.evicted = state.evict(client);
      if (!admission.evicted) return {.verdict = Verdict::client_full, .evicted = nullptr};
    } else if (state.open >= state.limit - state.limit / kNearlyFull) {
      if (!state.ranks.empty()) admission.evicted = state.evict(*state.ranks.begin()->client);
      if (!admission.evicted && state.open >= state.limit) {
        if (client.open == 0) state.clients.erase(key);
        return {.verdict = Verdict::listener_full, .evicted = nullptr};
      }
    }
    ++client.open;
    ++state.open;
    return admission;
  });
}

std::uint64_t ConnectionTable::idle(const ClientKey& key, std::weak_ptr<Connection> connection) {
  if (key == kExempt) return 0;
  return state_.with([&](State& state) {
    const std::uint64_t ticket = state.next_ticket++;
    state.change(state.clients[key],
                 [&](auto& idle) { idle.emplace(ticket, std::move(connection)); });
    return ticket;
  });
}

void ConnectionTable::busy(const ClientKey& key, std::uint64_t ticket) {
  if (key == kExempt) return;
  state_.with([&](State& state) {
    state.change(state.clients[key], [&](auto& idle) { idle.erase(ticket); });
  });
}

void ConnectionTable::leave(const ClientKey& key) {
  state_.with([&](State& state) {
    --state.open;
    const auto found = state.clients.find(key);
    if (found != state.clients.end() && --found->second.open == 0) state.clients.erase(found);
  });
}

}  // namespace gatehouse::http
