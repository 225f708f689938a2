// The configuration: one JSON file with comments -> every module's Options.
//
// Everything but base_url has a default. Unknown or wrong fields are refused with their path and
// the allowed range. Paths in the file are relative to the file's folder; in Config they are
// absolute.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/http/http_options.h"
#include "acme-server/net/dnssec_options.h"
#include "acme-server/net/net_options.h"
#include "acme-server/service/operations/retention_options.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/store_options.h"
#include "acme-server/web/listener_options.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::config {

// Where a listener's certificate comes from.
enum class CertificateSource { none, own, files };

struct ListenerConfig {
  http::Listener listener;  // tls filled later, when the certificate is at hand
  CertificateSource certificate = CertificateSource::none;
  std::string certificate_file, key_file;  // with CertificateSource::files
  bool allow_readable_key = false;         // although others can read key_file: in a container
  std::string client_ca_file;              // optional client certificates
  std::string socket_name;  // of an InheritedSocket that goes by the service manager's name for it
};

struct ThreadsConfig {
  std::size_t http = 2, requests = 64, request_queue = 4096, validation = 32, issuance = 32;
};

struct LogConfig {
  Log::Format format = Log::Format::json;
  LogLevel level = LogLevel::info;
};

struct Config {
  std::string text;                   // of the file, as it was read
  Json document;                      // the same, with the settings over it
  std::string file;                   // absolute path of the file; messages name it
  std::vector<std::string> settings;  // what the command line set over it: a reload does so again
  std::string folder;                 // what relative paths are relative to
  std::string data_directory;         // listener keys and the like
  std::string public_url;             // where CDP and AIA point, for good
  std::vector<ListenerConfig> acme, public_files, operations;
  std::string control_socket;  // where operators' commands reach the server
  web::WebOptions web;
  store::StoreOptions store;
  std::size_t store_readers = 8;  // connections kept for reading
  net::ResolverOptions resolver;
  net::DnssecOptions dnssec;
  http::Limits limits;
  service::Policy policy;  // the directories, and what holds for all of them
  service::RetentionOptions retention;
  ThreadsConfig threads;
  LogConfig log;
  Json validators = Json::object();  // read by validators/registry
  Json backends = Json::object();    // name -> object, read by ca-backends/registry
  // Backends with "retired": true. They are not in `backends`: nothing is issued by them and
  // nothing published, and the operator knows that certificates of theirs are still out there.
  std::vector<std::string> retired_backends;
};

// Something in a config that a person must put right, behind the file's name: "gatehouse.json:
// base_url: …".
class ConfigError : public std::runtime_error {
 public:
  ConfigError(const Config& config, const std::string& what);
};

// A setting from the command line: "validators.http01.port=5002". The value is JSON if it reads as
// JSON, else a string. Throws JsonError when it is not of the form path=value.
void apply_setting(Json& document, std::string_view setting);

struct ConfiguredListeners {
  web::ListenerKind kind;
  std::vector<ListenerConfig> Config::* list;
};

// The kinds that the config's "listeners" may have.
inline constexpr std::array<ConfiguredListeners, 3> kConfiguredListeners = {{
    {web::ListenerKind::acme, &Config::acme},
    {web::ListenerKind::public_files, &Config::public_files},
    {web::ListenerKind::operations, &Config::operations},
}};

// Calls `visit(listener, kind)` for each listener of `config`, which may be const.
template <class AnyConfig, class Visit>
void for_each_listener(AnyConfig& config, Visit visit) {
  for (const ConfiguredListeners& configured : kConfiguredListeners) {
    for (auto& listener : config.*configured.list) visit(listener, configured.kind);
  }
}

// Reads `text` as the config file at `path`, with `settings` applied over it. Throws JsonError
// whose message begins with the file's name: "gatehouse.json: validators.http01.port: 70000 is not
// a port (1..65535)".
Config parse_config(std::string_view text, const std::string& path,
                    const std::vector<std::string>& settings);

// Reads the file; std::runtime_error naming the path when it cannot be read.
Config load_config(const std::string& path, const std::vector<std::string>& settings);

}  // namespace gatehouse::config
