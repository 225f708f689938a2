#include "config/config.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/http/http_options.h"
#include "acme-server/net/dnssec_options.h"
#include "acme-server/net/net_options.h"
#include "acme-server/service/operations/retention_options.h"
#include "config/directories.h"
#include "config/fields.h"
#include "config/listeners.h"
#include "config/positions.h"
#include "config/read_config.h"

namespace gatehouse::config {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxFileBytes = 1024 * 1024;
constexpr JsonLimits kFileLimits = {.depth = 12, .members = 4096, .comments = true};
constexpr std::size_t kMaxPathDepth = 8;  // of a --set path

// Whether `url` is nothing but scheme://host[:port].
bool is_origin(const Url& url) {
  return url.path == "/" && url.query.empty();
}

std::string read_origin(const JsonObject& root, std::string_view name, std::string text) {
  const auto url = parse_url(text);
  if (!url || !is_origin(*url)) {
    refuse(root, name,
           "\"" + sanitize(text, 80) + "\" is not of the form https://host or https://host:port");
  }
  return url->origin();
}

// base_url, and public_url: http and base_url's host unless given, since certificates carry it for
// good.
void read_urls(const JsonObject& root, Config& config) {
  config.web.base_url = read_origin(root, "base_url", root.string("base_url", 512));
  if (!config.web.base_url.starts_with("https://")) {
    refuse(root, "base_url",
           "must be https: ACME runs over HTTPS, behind a proxy too (RFC 8555 section 6.1)");
  }
  if (const auto text = root.optional_string("public_url", 512)) {
    config.public_url = read_origin(root, "public_url", *text);
    if (!config.public_url.starts_with("http://")) {
      refuse(root, "public_url", "must be http: who fetches a CRL cannot check a certificate yet");
    }
    return;
  }
  Url url = parse_url(config.web.base_url).value();
  url.scheme = "http";
  url.port.reset();
  config.public_url = url.origin();
}

void read_web(const JsonObject& root, web::WebOptions& web) {
  read_field(root, "path", web.path);
  const auto path = parse_url("https://host" + web.path);
  const bool plain = web.path.find_first_of("?#%;") == std::string::npos &&
                     web.path.find("//") == std::string::npos;
  if (!path || !plain || !web.path.starts_with("/") || web.path.ends_with("/")) {
    refuse(root, "path", "\"" + sanitize(web.path, 80) + "\" is not of the form /acme");
  }
  read_field(root, "allowed_hosts", web.allowed_hosts);
  read_field(root, "trusted_proxies", web.trusted_proxies);
}

void read_store(const JsonObject& root, Config& config) {
  if (const auto store = root.optional_object("store")) {
    store->only({"path", "readers", "free_space_floor"});
    read_field(*store, "path", config.store.database);
    read_number(*store, "readers", config.store_readers, 1, 64);
    read_number(*store, "free_space_floor", config.store.free_space_floor, 0,
                std::int64_t{1} << 40);
  }
  config.store.database = resolve_path(config, config.store.database);
  config.data_directory = "data";
  read_field(root, "data_directory", config.data_directory);
  config.data_directory = resolve_path(config, config.data_directory);
}

void read_retention(const JsonObject& root, service::RetentionOptions& retention) {
  const auto object = root.optional_object("retention");
  if (!object) return;
  object->only({"orders", "failed", "certificates"});
  constexpr std::chrono::hours kLongest{24 * 365 * 100};
  read_duration(*object, "orders", retention.orders, std::chrono::hours(1), kLongest);
  read_duration(*object, "failed", retention.failed, std::chrono::hours(1), kLongest);
  if (object->has("certificates") && object->optional_string("certificates", 16) != "forever") {
    retention.certificates.emplace();
    read_duration(*object, "certificates", *retention.certificates, std::chrono::hours(24),
                  kLongest);
  }
}

void read_dnssec(const JsonObject& resolver, net::DnssecOptions& dnssec) {
  read_word<net::DnssecMode>(resolver, "dnssec", dnssec.mode,
                             {{"off", net::DnssecMode::off},
                              {"warn", net::DnssecMode::warn},
                              {"required", net::DnssecMode::required}});
  read_field(resolver, "dnssec_probe", dnssec.probe);
  const auto url = parse_url("http://" + dnssec.probe);
  if (dnssec.probe != "." && (!url || url->host != dnssec.probe || IpAddress::parse(url->host))) {
    refuse(resolver, "dnssec_probe",
           "\"" + sanitize(dnssec.probe, 80) + R"(" is neither "." nor a DNS name in lower case)");
  }
}

void read_resolver(const JsonObject& root, net::ResolverOptions& resolver,
                   net::DnssecOptions& dnssec) {
  const auto object = root.optional_object("resolver");
  if (!object) return;
  object->only({"servers", "transport", "timeout", "tries", "dnssec", "dnssec_probe"});
  read_dnssec(*object, dnssec);
  read_field(*object, "servers", resolver.servers);
  for (const std::string& server : resolver.servers) {
    const auto url = parse_url("http://" + server);
    const bool bare = IpAddress::parse(server).has_value();
    if (!bare && !(url && is_origin(*url) && IpAddress::parse(url->host))) {
      refuse(*object, "servers",
             "\"" + sanitize(server, 60) + "\" is not an IP address, alone or with a port");
    }
  }
  read_word<net::DnsTransport>(*object, "transport", resolver.transport,
                               {{"automatic", net::DnsTransport::automatic},
                                {"tcp", net::DnsTransport::tcp},
                                {"udp", net::DnsTransport::udp}});
  read_duration(*object, "timeout", resolver.timeout, std::chrono::milliseconds(100), seconds(30));
  read_number(*object, "tries", resolver.tries, 1, 10);
}

void read_limits(const JsonObject& root, http::Limits& limits) {
  const auto object = root.optional_object("limits");
  if (!object) return;
  object->only({"header_bytes", "body_bytes", "connections", "connections_per_address",
                "handshakes", "handshake", "read", "idle", "write", "drain", "contacts",
                "pending_orders_per_account", "pending_names_per_account",
                "account_changes_per_hour", "new_accounts_per_hour"});
  read_number(*object, "header_bytes", limits.header_bytes, 1024, 1024 * 1024);
  read_number(*object, "body_bytes", limits.body_bytes, 4096, 1024 * 1024);
  read_number(*object, "connections", limits.connections, 16, 1'000'000);
  read_number(*object, "connections_per_address", limits.connections_per_address, 1, 1'000'000);
  read_number(*object, "handshakes", limits.handshakes, 16, 1'000'000);
  read_duration(*object, "handshake", limits.handshake, seconds(1), minutes(5));
  read_duration(*object, "read", limits.read, seconds(1), minutes(5));
  read_duration(*object, "idle", limits.idle, seconds(1), minutes(60));
  read_duration(*object, "write", limits.write, seconds(1), minutes(60));
  read_duration(*object, "drain", limits.drain, seconds(0), minutes(10));
}

void read_threads(const JsonObject& root, ThreadsConfig& threads) {
  const auto object = root.optional_object("threads");
  if (!object) return;
  object->only({"http", "requests", "request_queue", "validation", "issuance"});
  read_number(*object, "http", threads.http, 1, 64);
  read_number(*object, "requests", threads.requests, 1, 1024);
  read_number(*object, "request_queue", threads.request_queue, 1, 1'000'000);
  read_number(*object, "validation", threads.validation, 1, 1024);
  read_number(*object, "issuance", threads.issuance, 1, 256);
}

void read_log(const JsonObject& root, LogConfig& log, web::AccessLog& access) {
  const auto object = root.optional_object("log");
  if (!object) return;
  object->only({"format", "level", "access"});
  read_word<Log::Format>(*object, "format", log.format,
                         {{"json", Log::Format::json}, {"console", Log::Format::console}});
  read_word<LogLevel>(*object, "level", log.level,
                      {{"debug", LogLevel::debug},
                       {"info", LogLevel::info},
                       {"warning", LogLevel::warning},
                       {"error", LogLevel::error}});
  read_word<web::AccessLog>(*object, "access", access,
                            {{"off", web::AccessLog::off},
                             {"errors", web::AccessLog::errors},
                             {"clients", web::AccessLog::clients},
                             {"all", web::AccessLog::all}});
}

// The local CA where `gatehouse init` puts it.
Json default_backends() {
  return {{"local",
           {{"type", "local"},
            {"certificate", "ca/issuer.pem"},
            {"key", "ca/issuer.key"},
            {"root", "ca/root.pem"}}}};
}

// Of a retired backend nothing but that is read, so that it can stay in the file as it was.
void read_backends(const JsonObject& root, Config& config) {
  const auto backends = root.optional_object("backends");
  if (!backends) {
    config.backends = default_backends();
    return;
  }
  for (const auto& item : backends->json().items()) {
    const JsonObject backend = backends->object(item.key());
    if (backend.optional_bool("retired").value_or(false)) {
      config.retired_backends.push_back(item.key());
      continue;
    }
    Json options = backend.json();
    options.erase("retired");
    config.backends[item.key()] = std::move(options);
  }
}

}  // namespace

Config read_config(const Json& document, const std::string& path) {
  const JsonObject root(document);
  root.only({"$schema",
             "base_url",
             "public_url",
             "path",
             "allowed_hosts",
             "trusted_proxies",
             "terms_of_service",
             "website",
             "caa_identities",
             "previous_account_urls",
             "data_directory",
             "listeners",
             "control",
             "store",
             "retention",
             "resolver",
             "profiles",
             "default_profile",
             "directories",
             "default_directory",
             "account_keys",
             "certificate_keys",
             "validation",
             "answer_wait",
             "crl",
             "validators",
             "backends",
             "limits",
             "threads",
             "log"});
  Config config;
  config.file = std::filesystem::absolute(path).lexically_normal().string();
  config.folder = std::filesystem::path(config.file).parent_path().string();
  read_urls(root, config);
  read_web(root, config.web);
  read_store(root, config);
  read_retention(root, config.retention);
  read_resolver(root, config.resolver, config.dnssec);
  config.policy = read_policy(root, config.web.base_url);
  config.web.default_directory = read_default_directory(root, config.policy);
  read_limits(root, config.limits);
  read_threads(root, config.threads);
  read_log(root, config.log, config.web.access_log);
  if (const auto validators = root.optional_object("validators"))
    config.validators = validators->json();
  read_backends(root, config);
  read_control(root, config);
  read_listeners(root, config);
  return config;
}

void apply_setting(Json& document, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw JsonError("--set " + sanitize(setting, 80) +
                    ": write it as path=value, such as validators.http01.port=5002");
  }
  const std::string_view value = setting.substr(equals + 1);
  Json parsed;
  try {
    parsed = parse_json(value, {.depth = kFileLimits.depth, .members = kFileLimits.members});
  } catch (const JsonError&) {
    parsed = std::string(value);  // a bare word is a string
  }
  const auto names = split(setting.substr(0, equals), '.');
  if (names.size() > kMaxPathDepth)
    throw JsonError("--set " + sanitize(setting, 80) + ": the path is too deep");
  Json* place = &document;
  for (const std::string_view name : names) {
    if (name.empty())
      throw JsonError("--set " + sanitize(setting, 80) + ": the path has an empty part");
    if (place->is_null()) *place = Json::object();
    if (!place->is_object()) {
      throw JsonError("--set " + sanitize(setting, 80) + ": there is no object to set \"" +
                      std::string(name) + "\" in");
    }
    place = &(*place)[std::string(name)];
  }
  *place = std::move(parsed);
}

Json read_document(std::string_view text, const std::vector<std::string>& settings) {
  Json document = parse_json(text, kFileLimits);
  if (!document.is_object()) throw JsonError("is not a JSON object");
  for (const std::string& setting : settings) apply_setting(document, setting);
  return document;
}

Config parse_config(std::string_view text, const std::string& path,
                    const std::vector<std::string>& settings) {
  try {
    Json document = read_document(text, settings);
    Config config = read_config(document, path);
    config.settings = settings;
    config.text = text;
    config.document = std::move(document);
    return config;
  } catch (const JsonError& error) {
    throw JsonError(tell(path, error.what(), Positions(text).line_of(error.what(), settings)));
  }
}

namespace {

// Why the file at `path` did not open, and what to do.
std::string why_closed(const std::string& path, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return path +
           ": there is no such file; --config names another one, and `gatehouse init` makes one";
  }
  std::string text = path + ": cannot be opened: " + std::generic_category().message(error);
  if (error == EACCES) {
    text += "; this is user " + std::to_string(::geteuid()) +
            ", and the file is for the server's user and root";
  }
  return text;
}

}  // namespace

ConfigError::ConfigError(const Config& config, const std::string& what)
    : std::runtime_error(
          tell(config.file, what, Positions(config.text).line_of(what, config.settings))) {}

std::string read_text(const std::string& path) {
  if (std::error_code error; std::filesystem::is_directory(path, error)) {
    throw std::runtime_error(path + ": is a folder; name the file in it, such as " +
                             (std::filesystem::path(path) / "gatehouse.json").string());
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(why_closed(path, errno));
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.size() > kMaxFileBytes) throw std::runtime_error(path + ": is larger than 1 MiB");
  return text;
}

Config load_config(const std::string& path, const std::vector<std::string>& settings) {
  return parse_config(read_text(path), path, settings);
}

}  // namespace gatehouse::config
