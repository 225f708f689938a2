// StubbornClient: one account's life over a server that comes and goes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/guarded.h"
#include "tests/restart/killable_server.h"
#include "tests/support/socket_acme.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {

// What clients were told, with a whole answer in their hands.
struct Acknowledged {
  std::set<std::string> orders;                   // ids
  std::map<std::string, std::string> downloaded;  // order -> serial
  std::set<std::string> revoked;                  // serials
  std::map<std::string, std::string> accounts;    // id -> thumbprint; "" while it changes
  std::set<std::string> deactivated;              // account ids
  int key_changes = 0;
  int seen_again = 0;  // what an earlier process had told, asked for at the next and found
};

class GaveUp : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// How long clients go on asking: until a moment, or until somebody ends it.
class Patience final {
 public:
  explicit Patience(std::chrono::seconds span) : deadline_(Deadline::in(span)) {}

  void end() { ended_ = true; }

  bool over() const { return ended_ || deadline_.expired(); }

 private:
  Deadline deadline_;
  std::atomic<bool> ended_ = false;
};

// Asks again until it has an answer, or its patience is over: then it throws GaveUp. It throws the
// same when an answer is wrong.
class StubbornClient final {
 public:
  StubbornClient(const KillableServer& server, const Patience& patience,
                 Guarded<Acknowledged>& told)
      : server_(server),
        patience_(patience),
        told_(told),
        client_([this](const http::Request& request) { return send(request); }, kTestBaseUrl) {
    insist([&] {
      if (const Reply reply = client_.new_account(); client_.kid.empty()) throw GaveUp(reply.body);
    });
    tell_account();
  }

  // From newOrder to download. The certificate, DER.
  Bytes obtain(const std::string& name) {
    ClientOrder order = insist([&] { return client_.new_order({name}); });
    const std::string id = last_part(order.url);
    told_.with([&](Acknowledged& all) { all.orders.insert(id); });
    const TestKey key = TestKey::generate(TestKey::Kind::p256);
    while (order.status() != "valid") {
      if (order.status() == "invalid" || patience_.over()) {
        throw GaveUp("order " + id + " ends here: " + order.json.dump());
      }
      if (order.status() == "pending") insist([&] { client_.respond(order); });
      if (order.status() == "ready") insist([&] { client_.finalize(order, key); });
      std::this_thread::sleep_for(kPoll);  // as Retry-After would have it, in small
      order = insist([&] { return client_.get(order); });
    }
    const std::string url = order.json.at("certificate").get<std::string>();
    const Reply reply = insist([&] { return client_.read(url); });
    const crypto::Certificate leaf = crypto::parse_pem_chain(reply.body).value().at(0);
    if (leaf.spki != key.spki()) throw GaveUp("order " + id + " has another key's certificate");
    told_.with([&](Acknowledged& all) { all.downloaded[id] = leaf.serial; });
    last_ = {.url = url, .body = reply.body};
    return leaf.der;
  }

  void revoke(const Bytes& certificate) {
    const Reply reply = insist([&] { return client_.revoke(certificate, 4); });
    // An answer that was lost to a kill may have been a yes.
    if (reply.status != 200 && reply.problem() != "alreadyRevoked") throw GaveUp(reply.body);
    const std::string serial = crypto::parse_certificate(certificate).value().serial;
    told_.with([&](Acknowledged& all) { all.revoked.insert(serial); });
  }

  // RFC 8555 section 7.3.5. After a lost answer the account tells which key it has.
  void change_key() {
    const std::string url = insist([&] { return client_.url_of("keyChange"); });
    const TestKey fresh = TestKey::generate(TestKey::Kind::p256);
    const Json claim = {{"account", client_.kid}, {"oldKey", client_.key.jwk()}};
    const std::string inner = sign_jws(fresh, {{"jwk", fresh.jwk()}, {"url", url}}, claim.dump());
    told_.with([&](Acknowledged& all) { all.accounts[last_part(client_.kid)] = ""; });
    last_.reset();  // asking for it takes a key that is known
    bool asked = false;
    insist([&] {
      if (asked) {
        const Reply found = client_.post_by_key(fresh, client_.url_of("newAccount"),
                                                {{"onlyReturnExisting", true}});
        if (found.status == 200) return;
      }
      asked = true;
      const Reply reply = client_.post_text(url, inner);
      if (reply.status != 200) throw GaveUp("key change: " + reply.body);
    });
    client_.key = fresh;
    told_.with([](Acknowledged& all) { ++all.key_changes; });
    tell_account();
  }

  void deactivate() {
    last_.reset();
    const Reply reply =
        insist([&] { return client_.post(client_.kid, {{"status", "deactivated"}}); });
    if (reply.status != 200 && reply.status != 401) throw GaveUp(reply.body);
    told_.with([&](Acknowledged& all) { all.deactivated.insert(last_part(client_.kid)); });
  }

 private:
  struct Shown {
    std::string url, body;
  };

  static constexpr std::chrono::milliseconds kPoll{5}, kPause{5};

  static std::string last_part(const std::string& url) { return url.substr(url.rfind('/') + 1); }

  void tell_account() {
    told_.with([&](Acknowledged& all) {
      all.accounts[last_part(client_.kid)] = client_.key.thumbprint();
    });
  }

  http::Response send(const http::Request& request) {
    const std::uint16_t port = server_.port();
    if (port == 0) throw ConnectionLost("there is no server just now");
    if (port != port_) {
      port_ = port;
      sender_.emplace(http::ListenerAddress{
          .listener = "acme", .address = "127.0.0.1", .port = port, .unix_path = ""});
      // Its nonce came from the process before.
      if (!request.body.empty()) throw ConnectionLost("the server is another one now");
    }
    http::Response response = (*sender_)(request);
    if (response.status >= 500) throw ConnectionLost("the server is in trouble");
    return response;
  }

  // Until it gets an answer. At a new server what the last one showed must still be there.
  template <class Function>
  std::invoke_result_t<const Function&> insist(const Function& function) {
    for (;;) {
      try {
        if (shaken_ && last_) look_again();
        shaken_ = false;
        return function();
      } catch (const ConnectionLost& lost) {
        if (patience_.over()) throw GaveUp(lost.what());
        shaken_ = true;
        std::this_thread::sleep_for(kPause);
      }
    }
  }

  void look_again() {
    const Reply reply = client_.read(last_->url);
    if (reply.status != 200 || reply.body != last_->body) {
      throw GaveUp("was served before, and now: " + reply.body);
    }
    told_.with([](Acknowledged& all) { ++all.seen_again; });
  }

  const KillableServer& server_;
  const Patience& patience_;
  Guarded<Acknowledged>& told_;
  std::uint16_t port_ = 0;
  std::optional<SocketSender> sender_;
  std::optional<Shown> last_;  // the last certificate
  bool shaken_ = false;        // an answer was lost since the last one that came
  AcmeClient client_;
};

// What many clients do together: `orders` orders, and more until enough() is said. The patience is
// everybody's.
class RestartLoad final {
 public:
  // One order in so many is followed by that; 0: none.
  struct Mix {
    int orders = 0;
    int clients = 8;
    int revoke = 10;
    int change_key = 20;
    int deactivate = 25;  // another account, made for that
  };

  RestartLoad(const KillableServer& server, std::chrono::seconds patience, const Mix& mix)
      : server_(server), patience_(patience), mix_(mix) {
    for (int i = 0; i < mix_.clients; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }

  // In the middle, after a failure; else they have come to their end.
  ~RestartLoad() { patience_.end(); }

  RestartLoad(const RestartLoad&) = delete;
  RestartLoad& operator=(const RestartLoad&) = delete;

  void enough() { enough_ = true; }

  int done() const { return done_; }

  bool finished() const { return finished_ == mix_.clients; }

  Acknowledged told() {
    return told_.with([](const Acknowledged& all) { return all; });
  }

  // Empty when all went well.
  std::vector<std::string> failures() {
    return failures_.with([](const auto& all) { return all; });
  }

 private:
  void work() {
    try {
      StubbornClient client(server_, patience_, told_);
      for (int i = next_++; i < mix_.orders || !enough_; i = next_++) {
        const Bytes certificate = client.obtain("n" + std::to_string(i) + ".test");
        if (i % mix_.revoke == 0) client.revoke(certificate);
        if (i % mix_.change_key == 0) client.change_key();
        if (i % mix_.deactivate == 0) StubbornClient(server_, patience_, told_).deactivate();
        ++done_;
      }
    } catch (const std::exception& error) {
      failures_.with([&](auto& all) { all.emplace_back(error.what()); });
    }
    ++finished_;
  }

  const KillableServer& server_;
  Patience patience_;
  Mix mix_;
  std::atomic<int> next_ = 0, done_ = 0, finished_ = 0;
  std::atomic<bool> enough_ = false;
  Guarded<Acknowledged> told_;
  Guarded<std::vector<std::string>> failures_;
  std::vector<std::jthread> threads_;  // last: they use what stands above
};

}  // namespace gatehouse::testing
