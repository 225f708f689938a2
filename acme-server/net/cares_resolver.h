// CaresResolver: the Resolver that asks real DNS servers. The only code that drives c-ares.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/entropy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/net_options.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

// Questions that are asked together, the handful that one validation needs, have a c-ares channel
// to one server to themselves; it is polled on the calling thread: while it runs no state is shared
// between threads. Channels that have answered are used again; between two calls they hold no
// socket, so that each call has a source port of its own, and each question an id. (One channel for
// all would send thousands of questions from one port, which is half of what a forger must guess.)
// The first server is drawn at random, the next ones follow in turn; a server that fails, refuses
// or is silent is one try.
// A DNS server that was not seen to validate DNSSEC.
struct NotValidating {
  std::string why;        // names the server
  bool answered = false;  // false: it was not reached, or gave no answer, and may do so later
};

class CaresResolver final : public Resolver {
 public:
  // `entropy` outlives this. Throws std::runtime_error naming the option that is wrong.
  CaresResolver(const ResolverOptions& options, Entropy& entropy);
  ~CaresResolver() override;
  CaresResolver(const CaresResolver&) = delete;
  CaresResolver& operator=(const CaresResolver&) = delete;

  Expected<DnsAnswer, DnsError> query(const std::string& name, RecordType type,
                                      Deadline deadline) override;

  // All at once; what one server fails to answer is put to the next ones question by question, as
  // some end a TCP connection after one answer.
  void query_each(std::span<const Question> questions, const Take& take) override;

  // Whether the resolvers validate DNSSEC: each of them is asked once for the SOA record of
  // `signed_name`, and must answer with the AD bit. Nothing when all do; else a sentence without a
  // stop that names the first that does not.
  std::optional<NotValidating> why_not_validating(const std::string& signed_name,
                                                  Deadline deadline);

 private:
  std::vector<Endpoint> servers() const;
  struct Inquiry;
  // Puts all of `inquiries` to `server`. Calls `settled` for each as it is answered or given up;
  // returns when it says that this is enough, or for all.
  void ask(const Endpoint& server, std::span<Inquiry> inquiries,
           const std::function<bool(Inquiry&)>& settled);

  struct Channels;

  ResolverOptions options_;
  std::unique_ptr<Channels> channels_;
  std::vector<Endpoint> configured_;
  Entropy* entropy_;
};

}  // namespace gatehouse::net
