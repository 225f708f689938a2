// CaresResolver: the Resolver that asks real DNS servers. The only code that drives c-ares.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/entropy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/net_options.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

// Each try of a question has a c-ares channel to one server to itself and polls it on the calling
// thread: while it runs no state is shared between threads. Channels that have answered are used
// again; between two questions they hold no socket, so that each try has a source port and an id of
// its own.
// The first server is drawn at random, the next ones follow in turn; a server that fails, refuses
// or is silent is one try.
class CaresResolver final : public Resolver {
 public:
  // `entropy` outlives this. Throws std::runtime_error naming the option that is wrong.
  CaresResolver(const ResolverOptions& options, Entropy& entropy);
  ~CaresResolver() override;
  CaresResolver(const CaresResolver&) = delete;
  CaresResolver& operator=(const CaresResolver&) = delete;

  Expected<DnsAnswer, DnsError> query(const std::string& name, RecordType type,
                                      Deadline deadline) override;

  // Whether the resolvers validate DNSSEC: each of them is asked once for the SOA record of
  // `signed_name`, and must answer with the AD bit. Nothing when all do; else a sentence without a
  // stop that names the first that does not.
  std::optional<std::string> why_not_validating(const std::string& signed_name, Deadline deadline);

 private:
  std::vector<Endpoint> servers() const;
  // The answer as it came, to a question of any type.
  Expected<Bytes, DnsError> ask(const Endpoint& server, const std::string& name, int type,
                                const std::string& what, Deadline deadline);

  struct Channels;

  ResolverOptions options_;
  std::unique_ptr<Channels> channels_;
  std::vector<Endpoint> configured_;
  Entropy* entropy_;
};

}  // namespace gatehouse::net
