// Who is connected to one listener: how many connections each client has, and which of them are
// idle. Says which connection gives way when there are too many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

class Connection;

// Any thread.
class ConnectionTable final {
 public:
  // Who a connection is counted under. Clients that share a key share a limit.
  using ClientKey = std::string;
  // Who is not told from others and has no limit but the listener's: a trusted proxy, which many
  // clients stand behind, and who comes by a unix socket.
  static const ClientKey kExempt;

  enum class Verdict { admitted, listener_full, client_full };

  struct Admission {
    Verdict verdict = Verdict::admitted;
    std::shared_ptr<Connection> evicted;  // an idle one, which the caller ends; perhaps null
  };

  ConnectionTable(const Limits& limits, std::vector<IpPrefix> proxies);

  // The client's IPv4 address, or the first 64 bits of its IPv6 address: whoever has one address
  // of such a network has all of them.
  ClientKey key_of(const Peer& peer) const;

  // Closes nothing: what is beyond them ends by itself, or gives way to the next connection.
  void set_limits(const Limits& limits);
  void set_proxies(std::vector<IpPrefix> proxies);

  // Counts a new connection of `client` if it is admitted. When the listener is nearly full, an
  // idle connection gives way: of those clients with the most idle ones, that which has been idle
  // longest. When the client itself has too many, its own oldest idle one does. Connections of
  // kExempt never give way: a proxy could not send the request again that it has just sent.
  Admission admit(const ClientKey& client);

  // A connection waits for a request: from now on it may give way. The ticket is for busy().
  std::uint64_t idle(const ClientKey& client, std::weak_ptr<Connection> connection);

  // It does not wait any more. Does nothing if it has been evicted meanwhile.
  void busy(const ClientKey& client, std::uint64_t ticket);

  // A connection that was admitted, and is not idle, has ended.
  void leave(const ClientKey& client);

 private:
  struct Client {
    std::size_t open = 0;
    std::map<std::uint64_t, std::weak_ptr<Connection>> idle;  // by ticket: the oldest first
  };

  // The order in which clients have to give way.
  struct Rank {
    std::size_t idle = 0;
    std::uint64_t oldest = 0;  // ticket, of one client only
    Client* client = nullptr;

    friend bool operator<(const Rank& a, const Rank& b) {
      return a.idle != b.idle ? a.idle > b.idle : a.oldest < b.oldest;
    }
  };

  struct State {
    std::size_t limit = 0, client_limit = 0;
    std::size_t open = 0;
    std::uint64_t next_ticket = 1;
    std::map<ClientKey, Client> clients;
    std::set<Rank> ranks;  // of clients that have an idle connection

    void change(Client& client, const auto& what);
    std::shared_ptr<Connection> evict(Client& client);
  };

  Guarded<std::vector<IpPrefix>> proxies_;
  Guarded<State> state_;
};

}  // namespace gatehouse::http
