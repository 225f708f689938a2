// BackendStop: a backend that is asked for nothing, since its CA has issued what nobody asked for.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Stored, so that it outlives the process and holds on every node. While it is in force no intent
// of the backend is submitted or asked about; orders are taken up to `processing` and wait.
struct BackendStop {
  std::string backend;
  Instant since;
  OrderId order;       // whose certificate was wrong
  std::string why;     // a sentence
  OrderId trial = {};  // which is submitted all the same; empty: none

  friend bool operator==(const BackendStop&, const BackendStop&) = default;
};

// Throws sql::DatabaseError, and JsonError for a row that nobody of ours wrote.
std::optional<BackendStop> backend_stop(store::Tx& tx, const std::string& backend);

// Of every backend that is configured.
std::vector<BackendStop> backend_stops(store::Tx& tx, const backends::BackendSet& backends);

// Why `backend` is asked for nothing about `order`: its stop, explained. A backend whose key signs
// only what it is handed is never stopped, and costs no look. Nor is the trial of a stopped one.
std::optional<std::string> why_backend_stopped(store::Tx& tx, const Context& context,
                                               const std::string& backend, const OrderId& order);

// Has the stop of `backend`, if there is one, let `order` pass, and end when it is issued.
void begin_trial_of(store::Tx& tx, const std::string& backend, const OrderId& order);

// `order` was issued, and found to be as it was asked for: ends the stop of which it is the trial,
// with an audit event. Otherwise nothing.
void resume_backend_after(store::Tx& tx, const std::string& backend, const OrderId& order);

// With its audit event, "backend.stopped". The first stop and its reason stay.
void stop_backend(store::Tx& tx, const BackendStop& stop);

// Ends the stop and audits that, "backend.resumed"; the orders that waited for it go on within
// kBackendStopPause. False when there was none.
bool resume_backend(Context& context, const std::string& backend, const Principal& by);

// "backend corp is stopped since …: …", with the next step.
std::string explain(const BackendStop& stop);

// How long a job waits before it looks again whether its backend is still stopped.
inline constexpr std::chrono::seconds kBackendStopPause{60};

}  // namespace gatehouse::service
