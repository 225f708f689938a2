#include "acme-server/app/server/preflight.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/app/server/config_checks.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/library_version.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/transient_failure.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/crypto/version.h"
#include "acme-server/http/http_options.h"
#include "acme-server/http/socket.h"
#include "acme-server/net/version.h"
#include "acme-server/store/sql/version.h"
#include "ca-backends/https/https_client.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

// Debian 12's; what they bring that we need: docs/dependencies.md.
constexpr std::array<int, 3> kOpenSslFloor = {3, 0, 0};
constexpr std::array<int, 3> kSqliteFloor = {3, 40, 0};
constexpr std::array<int, 3> kCaresFloor = {1, 18, 0};
constexpr std::array<int, 3> kCurlFloor = {7, 88, 0};

// No server of this version ran before; a machine without a battery-backed clock starts in 1970.
constexpr Instant kMadeAfter = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);
// Past it RFC 5280 dates change their form, and a clock there is a typing error.
constexpr Instant kPlausibleUntil = std::chrono::sys_days(std::chrono::year(2100) / 1 / 1);

void check_library(const LibraryVersion& found, const std::array<int, 3>& floor) {
  if (found.number < floor) {
    throw std::runtime_error(found.text() + " is too old: " +
                             LibraryVersion{.name = found.name, .number = floor}.text() +
                             " or newer is needed");
  }
}

void check_clock(Instant now) {
  if (now < kMadeAfter || now >= kPlausibleUntil) {
    throw TransientFailure("the clock says " + to_rfc3339(now) +
                           ", which cannot be; set it, and have it kept by NTP");
  }
}

void check_folder(const std::string& folder, const std::string& what) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw std::runtime_error(folder + ": the folder of " + what +
                             " does not exist; make it, mode 0700");
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw std::runtime_error(folder + ": the folder of " + what + " cannot be written by user " +
                             std::to_string(::geteuid()) +
                             "; change its owner or the configuration");
  }
}

// Binds and lets go: who loses the race after it is told by the engine.
void check_port(const http::Listener& listener) {
  const auto* tcp = std::get_if<http::TcpAddress>(&listener.address);
  if (tcp == nullptr || tcp->port == 0) return;
  http::open_listener(listener);
}

// Secrets are mounted into containers in modes that nobody there can change, so that a key which
// others can read may be allowed; one that others can replace may not.
std::optional<std::string> listener_key_problem(const config::ListenerConfig& listener) {
  namespace fs = std::filesystem;
  const std::string& file = listener.key_file;
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  const auto any = [&](fs::perms bits) { return (status.permissions() & bits) != fs::perms::none; };
  const bool readable =
      fs::is_regular_file(status) && any(fs::perms::group_read | fs::perms::others_read);
  if (!readable) return key_file_problem(file);
  if (any(fs::perms::group_write | fs::perms::others_write)) {
    return file + ": other users can write this private key; run: chmod 600 " + file;
  }
  if (listener.allow_readable_key) return std::nullopt;
  return file + ": other users can read this private key; run: chmod 600 " + file +
         ", or where that cannot be, in a container, set \"allow_readable_key\": true beside it";
}

// Every certificate of a file, whatever its form; at least one.
std::vector<crypto::Certificate> read_certificates(const std::string& file) {
  const std::string content = read_file(file, crypto::kMaxBagBytes);
  auto bag = crypto::read_certificate_bag(as_bytes(content));
  if (!bag) throw std::runtime_error(file + ": " + bag.error());
  if (!bag->unreadable.empty()) throw std::runtime_error(file + ": " + bag->unreadable.front());
  return std::move(bag->certificates);
}

std::string to_pem(const std::vector<crypto::Certificate>& chain) {
  std::string pem;
  for (const crypto::Certificate& each : chain) pem += crypto::to_pem(each.der);
  return pem;
}

// `all` as TLS sends them (RFC 8446 section 4.4.2): the first as it is, each signed by the next. A
// PKCS#7 bag has no order, and people have put the root first.
std::vector<crypto::Certificate> in_order(const std::string& file,
                                          std::vector<crypto::Certificate> all) {
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const crypto::Certificate& below = all[i];
    const auto rest = std::next(all.begin(), static_cast<std::ptrdiff_t>(i) + 1);
    const auto issuer = std::find_if(
        rest, all.end(), [&](const auto& each) { return crypto::is_signed_by(below, each); });
    if (issuer == all.end()) {
      throw std::runtime_error(
          file + ": " +
          crypto::why_unverifiable(below, *rest)
              .value_or("\"" + rest->subject_name + "\" has not signed \"" + below.subject_name +
                        "\"; the file is for the listener's certificate and the CAs above it: "
                        "take out what else is in it, or add the CA that is missing"));
    }
    std::iter_swap(rest, issuer);
  }
  return all;
}

void check_dates(const std::string& file, const crypto::Certificate& leaf, Instant now) {
  if (now < leaf.not_before) {
    throw TransientFailure(file + ": is valid from " + to_rfc3339(leaf.not_before) +
                           " on, and the clock says " + to_rfc3339(now) +
                           "; the clock is behind, or the certificate is for later");
  }
  if (now > leaf.not_after) {
    throw std::runtime_error(file + ": is valid from " + to_rfc3339(leaf.not_before) + " to " +
                             to_rfc3339(leaf.not_after) + ", and it is " + to_rfc3339(now));
  }
}

Secret read_listener_key(const config::ListenerConfig& listener) {
  if (const auto problem = listener_key_problem(listener)) throw std::runtime_error(*problem);
  Secret pem(read_file(listener.key_file));
  if (crypto::is_encrypted_private_key(pem)) {
    throw std::runtime_error(listener.key_file +
                             ": is encrypted; a listener's key is kept plain, mode 0600");
  }
  return pem;
}

// As a SubjectPublicKeyInfo.
Bytes public_key_of(const config::ListenerConfig& listener, const Secret& pem) {
  try {
    return crypto::load_signer(pem, Secret())->public_key();
  } catch (const std::exception& error) {
    throw std::runtime_error(listener.key_file + ": " + error.what());
  }
}

}  // namespace

void check_folders(const config::Config& config) {
  const std::filesystem::path database(config.store.database);
  check_folder(database.parent_path().string(), "the database");
  // The data directory is made where it is missing; then its parent counts.
  std::error_code error;
  if (std::filesystem::exists(config.data_directory, error)) {
    check_folder(config.data_directory, "listener keys (data_directory)");
  } else {
    check_folder(std::filesystem::path(config.data_directory).parent_path().string(),
                 "data_directory");
  }
}

std::vector<LibraryVersion> library_versions() {
  return {crypto::library_version(), sql::library_version(), net::library_version(),
          backends::curl_version_loaded()};
}

crypto::Certificate listener_certificate(const std::string& file) {
  const std::vector<crypto::Certificate> all = read_certificates(file);
  const auto leaf = std::ranges::find(all, false, &crypto::Certificate::is_ca);
  return leaf == all.end() ? all.front() : *leaf;
}

http::TlsOptions read_tls_files(const config::ListenerConfig& listener, Instant now) {
  const std::string& file = listener.certificate_file;
  std::vector<crypto::Certificate> all = read_certificates(file);
  http::TlsOptions tls;
  tls.private_key_pem = read_listener_key(listener);
  const Bytes key = public_key_of(listener, tls.private_key_pem);
  const auto found = std::ranges::find(all, key, &crypto::Certificate::spki);
  if (found == all.end()) {
    throw std::runtime_error(listener.key_file + ": is not the key of the certificate in " + file);
  }
  std::iter_swap(all.begin(), found);
  check_dates(file, all.front(), now);
  tls.certificate_chain_pem = to_pem(in_order(file, std::move(all)));
  if (!listener.client_ca_file.empty()) {
    tls.client_ca_pem = to_pem(read_certificates(listener.client_ca_file));
  }
  return tls;
}

void preflight(const config::Config& config, const Clock& clock) {
  check_library(crypto::library_version(), kOpenSslFloor);
  check_library(sql::library_version(), kSqliteFloor);
  check_library(net::library_version(), kCaresFloor);
  check_library(backends::curl_version_loaded(), kCurlFloor);
  check_clock(clock.now());
  check_parts(config);
  check_folders(config);
  config::for_each_listener(config, [&](const config::ListenerConfig& listener, auto) {
    if (listener.certificate == config::CertificateSource::files) {
      read_tls_files(listener, clock.now());
    }
    check_port(listener.listener);
  });
}

}  // namespace gatehouse::app
