// Server: the application as a value. It takes Config and an Environment and gives one HTTP handler
// and its jobs; it has no listener, no signal, no thread of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/app/server/environment.h"
#include "acme-server/core/principal.h"
#include "acme-server/http/http.h"
#include "acme-server/service/issuance/own_certificate_job.h"
#include "acme-server/service/operations/recovery.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/store.h"
#include "config/config.h"

namespace gatehouse::app {

// Whose processes may command a server: root's, and those of the user that this process runs as.
std::vector<std::uint32_t> operator_uids();

class Server {
 public:
  // Opens the store, loads the backends, wires everything; nothing runs yet. Throws JsonError or
  // std::runtime_error whose text is for the operator. `environment` outlives the Server.
  Server(config::Config config, Environment& environment);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The whole application, for every listener; Request::listener says which: "acme", "public",
  // "operations" or "control". Asynchronous: it posts to executors.requests, commands to
  // executors.control; full: 503 with Retry-After.
  http::Handler handler();

  // Before listeners open: CRLs made, the own certificate issued when it is wanted and missing,
  // jobs enqueued. Throws what stands in the way.
  void prepare();

  // The certificate for listeners that have none from files; after prepare(). `changed` gets each
  // later one.
  std::optional<service::TlsIdentity> own_identity();
  void on_own_identity(std::function<void(const service::TlsIdentity&)> changed);

  // One step of the job queue: see service::JobRunner. For Host's scheduler and for tests.
  std::size_t run_due_jobs();
  std::chrono::milliseconds until_next_job();
  // Called, from any thread, when a job may be due earlier than until_next_job() said.
  void on_wake(std::function<void()> wake);

  // Answers that wait for a job (service/jobs/completions.h). While there are any, Host calls the
  // first every few milliseconds: it sends those that have waited long enough and returns how many
  // go on waiting. `waiting` is called, from any thread, when the first one begins to wait; it does
  // not block. stop_waiting() sends them all as they are ready, and none waits any more.
  std::size_t tick_waiting_answers();
  void on_waiting_answers(std::function<void()> waiting);
  void stop_waiting();

  // Swaps the policy (profiles, key policies, limits, host lists) for `config`'s, whose other parts
  // must not have changed, but for what Host reloads itself. Throws, and changes nothing, when one
  // has, naming it, or when it is not usable. Audited as "server.reloaded", with what has changed
  // and the hash of the file.
  void reload(const config::Config& config, const Principal& by = ServerPrincipal{});

  // "server.started" and "server.stopped" in the audit trail: with the version and the hash of the
  // config, and who stopped it. Throws sql::DatabaseError.
  void audit_started();
  void audit_stopped(const Principal& by, bool drained);

  // What `gatehouse status` says of the listeners.
  void show_listeners(std::vector<std::string> listeners);

  // For tests.
  store::Store& store();
  service::IssuanceStops& stops();
  // For a restore, on a Server that serves nobody.
  service::Recovered recover(const service::RecoverySources& sources);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::app
