#include "acme-server/app/server/config_looks.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/exit_code.h"
#include "acme-server/app/server/preflight.h"
#include "acme-server/app/server/secret_source.h"
#include "acme-server/app/signer/signer_process.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/http/http_options.h"
#include "acme-server/http/socket.h"
#include "acme-server/net/unix_stream.h"
#include "acme-server/store/offline_database.h"
#include "acme-server/store/sql/migrate.h"
#include "acme-server/web/listener_options.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/registry.h"
#include "config/config.h"

namespace gatehouse::app {
namespace {

using Result = Look::Result;

Look failed(const std::string& what, const std::exception& failure) {
  const bool passes = exit_code_of(failure) == kFailed;
  return {.what = what, .result = passes ? Result::passes : Result::wrong, .text = failure.what()};
}

// Another user's file, such as the server's key, is no fault of the config.
std::optional<Look> why_not_ours(const std::string& what, const std::string& file) {
  if (file.empty() || ::access(file.c_str(), R_OK) == 0 || errno != EACCES) return std::nullopt;
  return Look{.what = what,
              .result = Result::not_looked_at,
              .text = "user " + std::to_string(::geteuid()) + " may not read " + file +
                      "; try as the server's user"};
}

std::string path_in(const config::Config& config, const Json& options, const char* name) {
  const Json* const value = JsonObject(options).find(name);
  if (value == nullptr || !value->is_string()) return "";
  return (std::filesystem::path(config.folder) / value->get_ref<const std::string&>())
      .lexically_normal()
      .string();
}

std::string describe(const backends::Backend& backend, bool local) {
  const backends::IssuersSnapshot issuers = backend.certificates->issuers();
  std::string text = local ? "its key is the issuer's; " : "its files can be read; ";
  if (const backends::Issuer* issuer = issuers->in_use()) {
    text +=
        issuer->certificate.subject_name + ", until " + to_rfc3339(issuer->certificate.not_after);
  }
  return local ? text : text + "; the CA was not asked (gatehouse backend check)";
}

// Makes the backend as serve does, with its keys.
Look look_at_backend(const config::Config& config, const std::string& name, const Json& options,
                     const backends::BackendContext& context) {
  const std::string what = "backends." + name;
  const bool local = options.value("type", "") == "local";
  if (local && options.contains("signer")) {
    return {.what = what,
            .result = Result::not_looked_at,
            .text = "a process of its own has its keys: gatehouse signer"};
  }
  if (lacks_credentials(options)) {
    return {.what = what,
            .result = Result::not_looked_at,
            .text = "the service manager gives its secrets (credential:…) to the unit alone"};
  }
  if (auto look = why_not_ours(what, path_in(config, options, "key"))) return *look;
  try {
    const backends::Backend made = backends::make_backend(name, JsonObject(options, what), context);
    return {.what = what, .result = Result::good, .text = describe(made, local)};
  } catch (const std::exception& failure) {
    return failed(what, failure);
  }
}

// Whether a server has this config's control socket.
bool server_runs(const config::Config& config) {
  try {
    net::UnixStream::connect(config.control_socket);
    return true;
  } catch (const net::UnixStreamError&) {
    return false;
  }
}

Look look_at_port(const std::string& what, const std::string& name, const http::TcpAddress& tcp,
                  bool running) {
  const std::string port = "port " + std::to_string(tcp.port);
  const int error = http::try_bind(name, tcp);
  if (error == 0) return {.what = what, .result = Result::good, .text = port + " is free"};
  if (error == EADDRINUSE && running) {
    return {.what = what, .result = Result::good, .text = port + " is the running server's"};
  }
  if (error == EACCES) {
    return {.what = what,
            .result = Result::not_looked_at,
            .text = port + " is not for user " + std::to_string(::geteuid()) +
                    "; the packaged unit may have it"};
  }
  return {.what = what,
          .result = Result::passes,
          .text = tcp.address + ", " + port + ": " + std::generic_category().message(error) +
                  (error == EADDRINUSE ? "; ss -ltnp tells whose it is" : "")};
}

void look_at_listener(const std::string& what, const config::ListenerConfig& listener, Instant now,
                      bool running, std::vector<Look>& looks) {
  if (const auto* tcp = std::get_if<http::TcpAddress>(&listener.listener.address)) {
    looks.push_back(look_at_port(what, listener.listener.name, *tcp, running));
  }
  if (listener.certificate != config::CertificateSource::files) return;
  if (auto look = why_not_ours(what, listener.key_file)) {
    looks.push_back(*look);
    return;
  }
  try {
    read_tls_files(listener, now);
    looks.push_back(
        {.what = what,
         .result = Result::good,
         .text = listener.certificate_file + " and its key fit, until " +
                 to_rfc3339(listener_certificate(listener.certificate_file).not_after)});
  } catch (const std::exception& failure) {
    looks.push_back(failed(what, failure));
  }
}

Look look_at_store(const config::Config& config) {
  const std::string what = "store.path";
  const std::string& path = config.store.database;
  try {
    check_folders(config);
    if (std::error_code error; !std::filesystem::exists(path, error)) {
      return {.what = what, .result = Result::good, .text = path + " is not there; serve makes it"};
    }
    if (auto look = why_not_ours(what, path)) return *look;
    const int schema = store::OfflineDatabase(path).schema();
    const int known = sql::embedded_migrations().back().number;
    const std::string text = path + " has schema " + std::to_string(schema);
    if (schema > known) {
      return {.what = what,
              .result = Result::wrong,
              .text = text + ", of a newer version; this one knows " + std::to_string(known)};
    }
    return {.what = what,
            .result = Result::good,
            .text = schema == known ? text
                                    : text + "; serve brings it to " + std::to_string(known) +
                                          ", after which an older version does not take it"};
  } catch (const std::exception& failure) {
    return failed(what, failure);
  }
}

}  // namespace

std::string_view to_string(Look::Result result) {
  switch (result) {
    case Result::good:
      return "good";
    case Result::wrong:
      return "wrong";
    case Result::passes:
      return "wrong now";
    case Result::not_looked_at:
      return "not looked at";
  }
  return "";
}

std::vector<Look> look_at_named(const config::Config& config, Clock& clock, Entropy& entropy) {
  std::vector<Look> looks;
  Log log({.sink = [](LogLevel, std::string_view) {}});
  const backends::BackendContext context = key_context(config, clock, entropy, log);
  for (const auto& item : config.backends.items()) {
    looks.push_back(look_at_backend(config, item.key(), item.value(), context));
  }
  const bool running = server_runs(config);
  for (const config::ConfiguredListeners& kind : config::kConfiguredListeners) {
    const auto& list = config.*kind.list;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string what = "listeners." + std::string(web::listener_row(kind.kind).name) + "[" +
                               std::to_string(i) + "]";
      look_at_listener(what, list[i], clock.now(), running, looks);
    }
  }
  looks.push_back(look_at_store(config));
  looks.push_back({.what = "resolver",
                   .result = Result::not_looked_at,
                   .text = "no DNS server was asked; serve does at its start, where dnssec is on"});
  return looks;
}

}  // namespace gatehouse::app
