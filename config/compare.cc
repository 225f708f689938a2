#include "config/compare.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/http/http_options.h"
#include "acme-server/net/dnssec_options.h"
#include "acme-server/net/net_options.h"
#include "acme-server/web/listener_options.h"
#include "config/config.h"

namespace gatehouse::config {

namespace {

// A listener's address as one text.
std::string print_address(const ListenerConfig& config) {
  const http::Listener& listener = config.listener;
  if (!config.socket_name.empty()) return config.socket_name;
  if (const auto* tcp = std::get_if<http::TcpAddress>(&listener.address)) {
    return tcp->address + " " + std::to_string(tcp->port) + (tcp->v6_only ? " only" : "");
  }
  if (const auto* file = std::get_if<http::UnixAddress>(&listener.address)) {
    return file->path + " " + std::to_string(file->mode);
  }
  return std::to_string(std::get<http::InheritedSocket>(listener.address).descriptor);
}

bool same(const std::vector<ListenerConfig>& a, const std::vector<ListenerConfig>& b) {
  return std::ranges::equal(a, b, [](const ListenerConfig& x, const ListenerConfig& y) {
    return print_address(x) == print_address(y) &&
           std::tie(x.certificate, x.certificate_file, x.key_file, x.allow_readable_key,
                    x.client_ca_file) == std::tie(y.certificate, y.certificate_file, y.key_file,
                                                  y.allow_readable_key, y.client_ca_file);
  });
}

auto parts_of(const net::ResolverOptions& resolver) {
  return std::tie(resolver.servers, resolver.system_config, resolver.transport, resolver.timeout,
                  resolver.tries);
}

auto parts_of(const net::DnssecOptions& dnssec) {
  return std::tie(dnssec.mode, dnssec.probe);
}

auto parts_of(const ThreadsConfig& threads) {
  return std::tie(threads.http, threads.requests, threads.request_queue, threads.validation,
                  threads.issuance);
}

template <class Part>
bool same(const Part& a, const Part& b) {
  return parts_of(a) == parts_of(b);
}

// Adds the paths below `path` where the two differ: down to values and arrays.
void add_changes(const Json& a, const Json& b, const std::string& path,
                 std::vector<std::string>& changes) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    changes.push_back(path);
    return;
  }
  const auto below = [&](const std::string& name) {
    return path.empty() ? name : path + "." + name;
  };
  for (const auto& item : a.items()) {
    const auto other = b.find(item.key());
    if (other == b.end()) {
      changes.push_back(below(item.key()));
    } else {
      add_changes(item.value(), *other, below(item.key()), changes);
    }
  }
  for (const auto& item : b.items()) {
    if (!a.contains(item.key())) changes.push_back(below(item.key()));
  }
}

}  // namespace

std::vector<std::string> changes_between(const Config& a, const Config& b) {
  std::vector<std::string> changes;
  add_changes(a.document, b.document, "", changes);
  return changes;
}

std::optional<std::string> first_fixed_difference(const Config& a, const Config& b) {
  const std::array<std::pair<std::string_view, bool>, 15> parts = {{
      {"base_url", a.web.base_url == b.web.base_url},
      {"public_url", a.public_url == b.public_url},
      {"path", a.web.path == b.web.path},
      {"default_directory", a.web.default_directory == b.web.default_directory},
      {"data_directory", a.data_directory == b.data_directory},
      {"control.socket", a.control_socket == b.control_socket},
      {"store.path", a.store.database == b.store.database},
      {"store.readers", a.store_readers == b.store_readers},
      {"store.free_space_floor", a.store.free_space_floor == b.store.free_space_floor},
      {"retention", a.retention.orders == b.retention.orders &&
                        a.retention.certificates == b.retention.certificates},
      {"resolver", same(a.resolver, b.resolver) && same(a.dnssec, b.dnssec)},
      {"validators", a.validators == b.validators},
      {"backends", a.backends == b.backends && a.retired_backends == b.retired_backends},
      {"threads", same(a.threads, b.threads)},
      {"log.format", a.log.format == b.log.format},
  }};
  const auto changed =
      std::ranges::find(parts, false, [](const auto& part) { return part.second; });
  if (changed != parts.end()) return std::string(changed->first);
  for (const ConfiguredListeners& listeners : kConfiguredListeners) {
    if (!same(a.*listeners.list, b.*listeners.list)) {
      return std::string(web::listener_row(listeners.kind).config_key);
    }
  }
  return std::nullopt;
}

}  // namespace gatehouse::config
