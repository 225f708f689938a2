// Environment: the outside world as one Server sees it. Host makes one for each Server; tests make
// their own.
#pragma once

#include <functional>
#include <memory>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/uptime.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/http/http.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/resolver.h"
#include "acme-server/store/sql/database.h"
#include "ca-backends/backend.h"
#include "validators/validator.h"

namespace gatehouse::app {

// Where a Server's work runs. Inline executors make everything happen on the caller's thread.
struct Executors {
  Executor& requests;
  Executor& validation;
  Executor& issuance;
  Executor& maintenance;
  Executor& control;       // operators' commands: never behind a flood of requests
  Executor& housekeeping;  // one thread, this store's alone: checkpoints

  static Executors all_on(Executor& one) {
    return {.requests = one,
            .validation = one,
            .issuance = one,
            .maintenance = one,
            .control = one,
            .housekeeping = one};
  }
};

// What tests and personalities put round the parts, as they are made. Each default returns what it
// was given.
struct Decorators {
  template <class T>
  using Wrap = std::function<std::unique_ptr<T>(std::unique_ptr<T>)>;

  Wrap<sql::Database> database = [](auto part) { return part; };
  Wrap<crypto::Signer> signer = [](auto part) { return part; };
  Wrap<validators::Validator> validator = [](auto part) { return part; };
  std::function<std::unique_ptr<backends::CertificateBackend>(
      const std::string& name, std::unique_ptr<backends::CertificateBackend>)>
      backend = [](const std::string&, auto part) { return part; };
  std::function<http::Handler(http::Handler)> handler = [](auto part) { return part; };
};

// Everything in it outlives the Server.
struct Environment {
  Clock& clock;          // what protocol and certificates say; virtual in a test CA
  Clock& job_clock;      // leases, backoff, run_at: real even then; tests make both manual
  const Uptime& uptime;  // what `clock` is held against
  Entropy& entropy;
  net::Resolver& resolver;
  net::Dialer& dialer;
  Log& log;
  Metrics& metrics;
  Executors executors;
  Decorators decorate = {};
};

}  // namespace gatehouse::app
