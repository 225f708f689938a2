#include "acme-server/app/server/server_events.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store_options.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

store::AuditEvent server_event(std::string_view kind, const Principal& by) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = by;
  return event;
}

}  // namespace

std::string hash_of(const config::Config& config) {
  return crypto::sha256_hex(as_bytes(config.text));
}

store::AuditEvent started_event(const config::Config& config) {
  store::AuditEvent event = server_event("server.started", ServerPrincipal{});
  event.details["version"] = GATEHOUSE_VERSION;
  event.details["config"] = config.file;
  event.details["config_sha256"] = hash_of(config);
  // The paths alone: a value may be a secret.
  event.details["set"] = Json::array();
  for (const std::string& setting : config.settings) {
    event.details["set"].push_back(setting.substr(0, setting.find('=')));
  }
  return event;
}

store::AuditEvent reloaded_event(const config::Config& config,
                                 const std::vector<std::string>& changes, const Principal& by) {
  store::AuditEvent event = server_event("server.reloaded", by);
  event.details["config_sha256"] = hash_of(config);
  event.details["changed"] = changes;
  return event;
}

store::AuditEvent stopped_event(const Principal& by, bool drained) {
  store::AuditEvent event = server_event("server.stopped", by);
  event.details["drained"] = drained;
  return event;
}

store::StoreOptions with_last_words(store::StoreOptions options, Log& log) {
  if (!options.on_fatal) {
    options.on_fatal = [&log](std::string_view message) {
      log.error("server.failed", {{"why", message}});
      std::abort();
    };
  }
  return options;
}

}  // namespace gatehouse::app
