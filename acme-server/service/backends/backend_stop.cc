#include "acme-server/service/backends/backend_stop.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

constexpr std::size_t kMaxTime = 64;
constexpr std::size_t kMaxId = 256;
constexpr std::size_t kMaxWhy = 4096;

// In the store's State.
std::string key_of(const std::string& backend) {
  return "backend.stopped." + backend;
}

void audit(store::Tx& tx, std::string_view kind, const Principal& by, const BackendStop& stop) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = by;
  event.order = stop.order;
  event.details = {{"backend", stop.backend}, {"since", to_rfc3339(stop.since)}, {"why", stop.why}};
  tx.audit().append(event);
}

void put(store::Tx& tx, const BackendStop& stop) {
  tx.state().set(key_of(stop.backend), print_json({{"since", to_rfc3339(stop.since)},
                                                   {"order", stop.order.str()},
                                                   {"why", stop.why.substr(0, kMaxWhy)},
                                                   {"trial", stop.trial.str()}}));
}

bool end(store::Tx& tx, const std::string& backend, const Principal& by) {
  const auto stop = backend_stop(tx, backend);
  if (!stop) return false;
  tx.state().remove(key_of(backend));
  audit(tx, "backend.resumed", by, *stop);
  return true;
}

}  // namespace

std::optional<BackendStop> backend_stop(store::Tx& tx, const std::string& backend) {
  const auto text = tx.state().get(key_of(backend));
  if (!text) return std::nullopt;
  const Json json = parse_json(*text);
  const JsonObject object(json, key_of(backend));
  return BackendStop{.backend = backend,
                     .since = from_rfc3339(object.string("since", kMaxTime)).value_or(Instant{}),
                     .order = OrderId(object.string("order", kMaxId)),
                     .why = object.string("why", kMaxWhy),
                     .trial = OrderId(object.optional_string("trial", kMaxId).value_or(""))};
}

std::vector<BackendStop> backend_stops(store::Tx& tx, const backends::BackendSet& backends) {
  std::vector<BackendStop> stops;
  for (const backends::Backend* backend : backends.all()) {
    if (auto stop = backend_stop(tx, backend->name)) stops.push_back(std::move(*stop));
  }
  return stops;
}

std::optional<std::string> why_backend_stopped(store::Tx& tx, const Context& context,
                                               const std::string& backend, const OrderId& order) {
  const backends::Backend* found = context.backends.find(backend);
  if (found == nullptr || found->certificates->repeatable()) return std::nullopt;
  const auto stop = backend_stop(tx, backend);
  if (!stop || stop->trial == order) return std::nullopt;
  return explain(*stop);
}

void begin_trial_of(store::Tx& tx, const std::string& backend, const OrderId& order) {
  auto stop = backend_stop(tx, backend);
  if (!stop) return;
  stop->trial = order;
  put(tx, *stop);
}

void resume_backend_after(store::Tx& tx, const std::string& backend, const OrderId& order) {
  const auto stop = backend_stop(tx, backend);
  if (stop && stop->trial == order) end(tx, backend, ServerPrincipal{});
}

void stop_backend(store::Tx& tx, const BackendStop& stop) {
  if (backend_stop(tx, stop.backend)) return;
  put(tx, stop);
  audit(tx, "backend.stopped", ServerPrincipal{}, stop);
}

bool resume_backend(Context& context, const std::string& backend, const Principal& by) {
  const bool ended = context.store.write([&](store::Tx& tx) {
    if (!end(tx, backend, by)) return false;
    tx.after_commit(context.wake);
    return true;
  });
  if (ended) {
    context.log.warning("backend.resumed", {{"backend", backend}, {"by", to_string(by)}});
  }
  return ended;
}

std::string explain(const BackendStop& stop) {
  return "backend " + stop.backend + " is stopped since " + to_rfc3339(stop.since) + ": order " +
         stop.order.str() + ": " + stop.why +
         " Put right what the CA does, then: gatehouse backend check " + stop.backend +
         " --enrol NAME";
}

}  // namespace gatehouse::service
