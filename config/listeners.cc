#include "config/listeners.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/url.h"
#include "acme-server/http/http_options.h"
#include "acme-server/web/listener_options.h"
#include "config/config.h"
#include "config/fields.h"

namespace gatehouse::config {

namespace {

using Kind = web::ListenerKind;

constexpr std::uint16_t kPublicPort = 80;
constexpr std::uint16_t kOperationsPort = 9402;
constexpr std::string_view kEverywhere = "::";
constexpr std::string_view kLoopback = "127.0.0.1";
constexpr std::size_t kMaxSocketName = 255;  // sd_listen_fds_with_names(3)
constexpr std::size_t kMaxListeners = 16;    // of one kind: addresses of one machine, not a farm

constexpr std::string_view kControlSocket = "control.sock";  // in the data directory

std::string describe(const ListenerConfig& config) {
  const http::Listener& listener = config.listener;
  if (const auto* tcp = std::get_if<http::TcpAddress>(&listener.address)) {
    return tcp->address + " port " + std::to_string(tcp->port);
  }
  if (const auto* path = std::get_if<http::UnixAddress>(&listener.address)) return path->path;
  if (!config.socket_name.empty()) return "the service manager's socket " + config.socket_name;
  return "descriptor " +
         std::to_string(std::get<http::InheritedSocket>(listener.address).descriptor);
}

bool is_loopback(const http::TcpAddress& tcp) {
  const auto address = IpAddress::parse(tcp.address);
  if (!address) return false;
  static const IpPrefix kV4 = IpPrefix::parse("127.0.0.0/8").value();
  static const IpPrefix kV6 = IpPrefix::parse("::1/128").value();
  return kV4.contains(*address) || kV6.contains(*address);
}

void read_address(const JsonObject& object, const Config& config, std::uint16_t default_port,
                  ListenerConfig& target) {
  http::Listener& listener = target.listener;
  const int ways = int{object.has("address")} + int{object.has("unix")} +
                   int{object.has("systemd")} + int{object.has("descriptor")};
  if (ways != 1) {
    throw JsonError(object.path() +
                    ": give exactly one of address (with port), unix, systemd, descriptor");
  }
  if (object.has("systemd")) {
    target.socket_name = object.string("systemd", kMaxSocketName);
    if (target.socket_name.empty()) refuse(object, "systemd", "the name of a socket is not empty");
    listener.address = http::InheritedSocket{};
    return;
  }
  if (object.has("unix")) {
    http::UnixAddress unix_address{.path = resolve_path(config, object.string("unix", 100))};
    if (const auto mode = object.optional_string("mode", 4)) {
      if (mode->find_first_not_of("01234567") != std::string::npos || mode->size() < 3) {
        refuse(object, "mode", "\"" + *mode + R"(" is not an octal file mode such as "0660")");
      }
      unix_address.mode = static_cast<std::uint32_t>(std::stoul(*mode, nullptr, 8));
    }
    listener.address = unix_address;
    return;
  }
  if (const auto descriptor = object.optional_integer("descriptor", 3, 1023)) {
    listener.address = http::InheritedSocket{.descriptor = static_cast<int>(*descriptor)};
    return;
  }
  http::TcpAddress tcp{.address = object.string("address", 64), .port = default_port};
  if (!IpAddress::parse(tcp.address)) {
    refuse(object, "address",
           "\"" + tcp.address + R"(" is not an IP address; "::" listens on every one)");
  }
  read_port(object, "port", tcp.port);
  if (const auto only = object.optional_bool("ipv6_only")) tcp.v6_only = *only;
  listener.address = tcp;
}

void read_certificate(const JsonObject& object, const Config& config, Kind kind,
                      ListenerConfig& listener) {
  const Json* tls = object.find("tls");
  if (tls != nullptr && tls->is_object()) {
    const JsonObject files = object.object("tls");
    files.only({"certificate", "key", "allow_readable_key", "client_ca"});
    listener.certificate = CertificateSource::files;
    listener.certificate_file = resolve_path(config, files.string("certificate"));
    listener.key_file = resolve_path(config, files.string("key"));
    read_field(files, "allow_readable_key", listener.allow_readable_key);
    if (const auto ca = files.optional_string("client_ca"))
      listener.client_ca_file = resolve_path(config, *ca);
  } else {
    read_word<CertificateSource>(
        object, "tls", listener.certificate,
        {{"own", CertificateSource::own}, {"off", CertificateSource::none}});
  }
  if (kind == Kind::public_files && listener.certificate != CertificateSource::none) {
    refuse(object, "tls",
           "public files are plain HTTP: who fetches a CRL cannot check a certificate yet");
  }
  const auto* tcp = std::get_if<http::TcpAddress>(&listener.listener.address);
  if (kind == Kind::acme && listener.certificate == CertificateSource::none && tcp != nullptr &&
      !is_loopback(*tcp)) {
    refuse(object, "tls",
           "ACME without TLS is for loopback or a unix socket, behind a proxy (RFC 8555 section "
           "6.1); " +
               tcp->address + " is neither");
  }
}

// Where a kind listens when the config does not say.
http::TcpAddress default_address(Kind kind, const Config& config) {
  switch (kind) {
    case Kind::acme: {
      const auto base = parse_url(config.web.base_url);
      return {.address = std::string(kEverywhere),
              .port = base ? base->effective_port() : std::uint16_t{443}};
    }
    case Kind::public_files:
      return {.address = std::string(kEverywhere), .port = kPublicPort};
    case Kind::operations:
    case Kind::control:
      return {.address = std::string(kLoopback), .port = kOperationsPort};
  }
  ACME_CHECK(false);
  return {};
}

ListenerConfig make_listener(Kind kind, std::size_t index, const Config& config) {
  ListenerConfig listener;
  listener.listener.name = std::string(web::listener_row(kind).name) + "." + std::to_string(index);
  if (kind == Kind::acme) {
    listener.certificate = CertificateSource::own;
    listener.listener.origins = {config.web.base_url};
  }
  return listener;
}

void read_kind(const JsonObject& listeners, Kind kind, Config& config,
               std::vector<ListenerConfig>& target) {
  const std::string_view name = web::listener_row(kind).name;
  const Json* array = listeners.optional_array(name);
  if (array == nullptr) return;
  if (array->size() > kMaxListeners) {
    refuse(listeners, name, "more than " + std::to_string(kMaxListeners) + " listeners");
  }
  target.clear();
  for (std::size_t i = 0; i < array->size(); ++i) {
    const JsonObject object((*array)[i], listeners.path_of(name) + "[" + std::to_string(i) + "]");
    object.only({"address", "port", "ipv6_only", "unix", "mode", "systemd", "descriptor", "tls"});
    ListenerConfig listener = make_listener(kind, i, config);
    read_address(object, config, default_address(kind, config).port, listener);
    read_certificate(object, config, kind, listener);
    target.push_back(std::move(listener));
  }
}

void refuse_doubles(const Config& config) {
  std::set<std::string> seen = {config.control_socket};
  for_each_listener(config, [&](const ListenerConfig& listener, Kind) {
    if (!seen.insert(describe(listener)).second) {
      throw JsonError("listeners: two of them on " + describe(listener));
    }
  });
}

}  // namespace

std::string resolve_path(const Config& config, const std::string& path) {
  return (std::filesystem::path(config.folder) / path).lexically_normal().string();
}

void read_listeners(const JsonObject& root, Config& config) {
  const std::optional<JsonObject> listeners = root.optional_object("listeners");
  if (listeners) {
    listeners->only({web::kAcmeListener, web::kPublicListener, web::kOperationsListener});
  }
  for (const ConfiguredListeners& configured : kConfiguredListeners) {
    std::vector<ListenerConfig>& list = config.*configured.list;
    list = {make_listener(configured.kind, 0, config)};
    list.front().listener.address = default_address(configured.kind, config);
    if (listeners) read_kind(*listeners, configured.kind, config, list);
  }
  if (config.acme.empty()) throw JsonError("listeners.acme: at least one is needed");
  refuse_doubles(config);
}

void read_control(const JsonObject& root, Config& config) {
  config.control_socket = (std::filesystem::path(config.data_directory) / kControlSocket).string();
  const std::optional<JsonObject> control = root.optional_object("control");
  if (control) {
    control->only({"socket"});
    if (const auto socket = control->optional_string("socket", 4096)) {
      if (socket->empty()) refuse(*control, "socket", "names no file");
      config.control_socket = resolve_path(config, *socket);
    }
  }
  if (config.control_socket.size() > http::kMaxUnixPath) {
    throw JsonError("control.socket: " + config.control_socket + " has " +
                    std::to_string(config.control_socket.size()) +
                    " characters, a unix socket's path at most " +
                    std::to_string(http::kMaxUnixPath) +
                    "; name a shorter one, such as /run/gatehouse/control.sock");
  }
}

}  // namespace gatehouse::config
