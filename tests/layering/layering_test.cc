// The layer table of ARCHITECTURE.md, held against every #include of the product. CMake's view
// folders already keep a module from seeing what it does not use; this test adds direct use, single
// headers, and third-party headers.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/paths.h"

namespace {

namespace fs = std::filesystem;

// A module's folder, the folders it may include from, and single headers it may include from
// others.
struct Layer {
  std::string_view folder;
  std::vector<std::string_view> uses;
  std::vector<std::string_view> headers = {};
};

constexpr std::string_view kBase = "acme-server/base";
constexpr std::string_view kCrypto = "acme-server/crypto";
constexpr std::string_view kCore = "acme-server/core";
constexpr std::string_view kNet = "acme-server/net";
constexpr std::string_view kHttp = "acme-server/http";
constexpr std::string_view kStore = "acme-server/store";
constexpr std::string_view kValidators = "validators";
constexpr std::string_view kBackends = "ca-backends";
constexpr std::string_view kConfig = "config";
constexpr std::string_view kService = "acme-server/service";
constexpr std::string_view kWeb = "acme-server/web";
constexpr std::string_view kApp = "acme-server/app";

// The part of crypto that is values alone: no OpenSSL type and no key of ours in it.
const std::vector<std::string_view> kCryptoValues = {
    "acme-server/crypto/digest.h", "acme-server/crypto/jwk.h", "acme-server/crypto/csr.h",
    "acme-server/crypto/certificate.h"};

const std::vector<Layer> kLayers = {
    {kBase, {}},
    {kCrypto, {kBase}},
    {kCore, {kBase}, kCryptoValues},
    {kNet, {kBase, kCrypto}},
    {kHttp, {kBase, kNet}},
    {kStore, {kBase, kCore}, kCryptoValues},
    {kValidators, {kBase, kCrypto, kCore, kNet}},
    {kBackends, {kBase, kCrypto, kCore, kNet}},
    // And every `*_options.h`, see is_allowed().
    {kConfig, {kBase}, {"acme-server/core/profile.h"}},
    {kService, {kBase, kCrypto, kCore, kStore, kValidators, kBackends}},
    {kWeb, {kBase, kCrypto, kCore, kService, kHttp}},
    {kApp,
     {kBase, kCrypto, kCore, kNet, kHttp, kStore, kValidators, kBackends, kConfig, kService, kWeb}},
};

// Headers that begin with `prefix` belong to those files that begin with one of `owners`.
struct Ownership {
  std::string_view prefix;
  std::vector<std::string_view> owners;
};

// The first row that fits is the one that counts, so exceptions stand before their rule.
const std::vector<Ownership> kOwnership = {
    {"openssl/ssl.h", {"acme-server/crypto/", "acme-server/net/", "acme-server/http/"}},
    {"openssl/err.h", {"acme-server/crypto/", "acme-server/net/", "acme-server/http/"}},
    {"openssl/x509.h", {"acme-server/crypto/", "acme-server/net/", "acme-server/http/"}},
    {"openssl/", {"acme-server/crypto/"}},
    {"boost/", {"acme-server/http/beast_engine.cc"}},
    {"ares.h", {"acme-server/net/"}},
    {"curl/", {"ca-backends/https/https_client.cc"}},
    {"sqlite3.h", {"acme-server/store/"}},
    {"libpq-fe.h", {"acme-server/store/"}},
    {"spdlog/", {"acme-server/base/"}},
    {"nlohmann/", {"acme-server/base/json.h"}},
    {"prometheus/", {"acme-server/base/metrics.cc"}},
    {"idn2.h", {"acme-server/core/"}},
    {"libpsl.h", {"acme-server/core/"}},
    {"CLI/", {"acme-server/app/"}},
    {"systemd/", {"acme-server/app/server/service_manager.cc"}},
    {"doctest/", {}},
    {"sys/socket.h", {"acme-server/net/", "acme-server/http/"}},
    {"sys/un.h", {"acme-server/net/", "acme-server/http/"}},
    {"netinet/", {"acme-server/net/", "acme-server/http/"}},
    {"arpa/", {"acme-server/net/", "acme-server/http/"}},
    {"netdb.h", {"acme-server/net/", "acme-server/http/"}},
    {"spawn.h", {"acme-server/app/"}},
    {"sched.h", {"acme-server/app/"}},
};

// The system's headers that any module may use, beside sys/, linux/ and the C++ library.
const std::set<std::string_view> kSystemHeaders = {
    "dirent.h",  "fcntl.h", "grp.h",    "malloc.h",  "poll.h",
    "pthread.h", "pwd.h",   "signal.h", "strings.h", "syslog.h",
    "termios.h", "time.h",  "unistd.h", "string.h",  "stdlib.h"};

// The row of the module that the file `path`, written from the root, lies in.
const Layer* layer_of(std::string_view path) {
  const auto found = std::ranges::find_if(kLayers, [path](const Layer& layer) {
    return path.starts_with(layer.folder) && path.substr(layer.folder.size()).starts_with('/');
  });
  return found == kLayers.end() ? nullptr : &*found;
}

bool is_allowed(const Layer& from, const Layer& to, std::string_view header) {
  return &from == &to || std::ranges::find(from.uses, to.folder) != from.uses.end() ||
         std::ranges::find(from.headers, header) != from.headers.end() ||
         (from.folder == kConfig && header.ends_with("_options.h"));
}

// Why `file` may not include `header`; nothing when it may. Both as they are written from the root.
std::optional<std::string> violation(std::string_view file, std::string_view header) {
  const std::string text = std::string(file) + " includes " + std::string(header);
  const Layer* from = layer_of(file);
  if (from == nullptr) {
    return text + ", but lies in no module of the layer table";
  }
  if (const Layer* to = layer_of(header)) {
    if (is_allowed(*from, *to, header)) {
      return std::nullopt;
    }
    return text + ": " + std::string(from->folder) + " may not use " + std::string(to->folder);
  }
  const auto owned = std::ranges::find_if(
      kOwnership, [header](const Ownership& row) { return header.starts_with(row.prefix); });
  if (owned != kOwnership.end()) {
    const bool owner = std::ranges::any_of(
        owned->owners, [file](std::string_view prefix) { return file.starts_with(prefix); });
    return owner ? std::nullopt : std::optional(text + ", which belongs to another module");
  }
  const bool standard = std::ranges::all_of(
      header, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (standard || header.starts_with("sys/") || header.starts_with("linux/") ||
      kSystemHeaders.contains(header)) {
    return std::nullopt;
  }
  return text + ": neither a path from the root nor a header with an owner in this test's table";
}

// What the line includes; nothing when it is no #include. A macro's name comes back as it is, and
// has no owner.
std::optional<std::string> included_by(std::string_view line) {
  const auto skip_blanks = [&line] {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  };
  for (const std::string_view token : {"#", "include"}) {
    skip_blanks();
    if (!line.starts_with(token)) {
      return std::nullopt;
    }
    line.remove_prefix(token.size());
  }
  skip_blanks();
  if (line.starts_with('"') || line.starts_with('<')) {
    const char end = line[0] == '"' ? '"' : '>';
    return std::string(line.substr(1, line.find(end, 1) - 1));
  }
  return std::string(line);
}

using Includes = std::map<std::string, std::vector<std::string>>;

// What each .h and .cc of the product includes, by path from the root.
Includes read_product() {
  const fs::path root = gatehouse::testing::source_directory();
  Includes product;
  for (const char* part : {"acme-server", "validators", "ca-backends", "config"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / part)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") {
        continue;
      }
      auto& headers = product[fs::relative(entry.path(), root).generic_string()];
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        if (auto header = included_by(line)) {
          headers.push_back(*header);
        }
      }
    }
  }
  return product;
}

std::vector<std::string> violations_in(const Includes& product) {
  std::vector<std::string> found;
  for (const auto& [file, headers] : product) {
    for (const std::string& header : headers) {
      if (auto why = violation(file, header)) {
        found.push_back(*why);
      }
    }
  }
  return found;
}

TEST_CASE("every include of the product keeps the layer table") {
  const Includes product = read_product();
  for (const std::string& why : violations_in(product)) {
    FAIL_CHECK(why);
  }
  // That it looked at all: a module whose folder has moved would be checked no more.
  for (const Layer& layer : kLayers) {
    CAPTURE(layer.folder);
    CHECK(std::ranges::any_of(product,
                              [&](const auto& file) { return layer_of(file.first) == &layer; }));
  }
  REQUIRE(product.contains("acme-server/base/json.h"));
  CHECK(std::ranges::count(product.at("acme-server/base/json.h"), "nlohmann/json.hpp") == 1);
}

TEST_CASE("every include from the root names a file") {
  const Includes product = read_product();
  for (const auto& [file, headers] : product) {
    for (const std::string& header : headers) {
      CAPTURE(file);
      CAPTURE(header);
      CHECK((layer_of(header) == nullptr || product.contains(header)));
    }
  }
}

TEST_CASE("the crypto headers that core and store may use bring no OpenSSL header along") {
  const Includes product = read_product();
  std::vector<std::string> open(kCryptoValues.begin(), kCryptoValues.end());
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::string header = open.back();
    open.pop_back();
    CAPTURE(header);
    CHECK_FALSE(header.starts_with("openssl/"));
    if (seen.insert(header).second && product.contains(header)) {
      const auto& next = product.at(header);
      open.insert(open.end(), next.begin(), next.end());
    }
  }
  CHECK(seen.size() > kCryptoValues.size());
}

TEST_CASE("the table has no cycle: a module uses only what stands before it") {
  for (std::size_t i = 0; i < kLayers.size(); ++i) {
    for (const std::string_view used : kLayers[i].uses) {
      CAPTURE(used);
      CHECK(std::ranges::any_of(std::span(kLayers).first(i),
                                [used](const Layer& layer) { return layer.folder == used; }));
    }
  }
}

struct IncludeRow {
  std::string_view file;
  std::string_view header;
};

TEST_CASE("an include that breaks the table is reported") {
  const IncludeRow rows[] = {
      {"acme-server/base/json.cc", "acme-server/core/problem.h"},
      {"acme-server/crypto/jwk.cc", "acme-server/core/problem.h"},
      {"acme-server/core/order.h", "acme-server/crypto/jws.h"},
      {"acme-server/core/order.h", "acme-server/crypto/openssl.h"},
      {"acme-server/core/order.cc", "acme-server/store/store.h"},
      {"acme-server/core/profile.cc", "config/config.h"},
      {"acme-server/net/dialer.cc", "acme-server/core/problem.h"},
      {"acme-server/http/http.h", "acme-server/web/router.h"},
      {"acme-server/http/http.h", "acme-server/core/problem.h"},
      {"acme-server/store/orders.cc", "acme-server/crypto/signer.h"},
      {"acme-server/store/orders.cc", "acme-server/net/dialer.h"},
      {"acme-server/store/sql/open.cc", "config/config.h"},
      {"acme-server/service/orders/orders.cc", "acme-server/net/http_client.h"},
      {"acme-server/service/orders/orders.cc", "acme-server/http/http.h"},
      {"acme-server/service/orders/orders.cc", "acme-server/app/server/server.h"},
      {"acme-server/web/acme/order.cc", "acme-server/store/store.h"},
      {"acme-server/web/acme/order.cc", "acme-server/core_of_mine/x.h"},
      {"validators/http01.cc", "acme-server/store/store.h"},
      {"validators/http01.cc", "ca-backends/backend.h"},
      {"validators/http01.cc", "acme-server/service/context.h"},
      {"ca-backends/local_ca/local_ca.cc", "validators/validator.h"},
      {"config/config.h", "acme-server/core/order.h"},
      {"config/config.cc", "acme-server/net/dialer.h"},
      {"acme-server/elsewhere/x.h", "string"},
      {"acme-server/core/order.h", "openssl/evp.h"},
      {"acme-server/core/order.h", "openssl/x509.h"},
      {"acme-server/net/tls_stream.cc", "openssl/evp.h"},
      {"acme-server/net/tls_stream.cc", "openssl/x509v3.h"},
      {"acme-server/http/engine.h", "boost/asio.hpp"},
      {"acme-server/http/tls.cc", "boost/asio/ssl.hpp"},
      {"validators/dns01.cc", "ares.h"},
      {"acme-server/service/jobs.cc", "sqlite3.h"},
      {"acme-server/app/main.cc", "libpq-fe.h"},
      {"acme-server/app/main.cc", "spdlog/spdlog.h"},
      {"acme-server/core/problem.h", "nlohmann/json.hpp"},
      {"acme-server/base/log.cc", "nlohmann/json.hpp"},
      {"acme-server/base/metrics.h", "prometheus/counter.h"},
      {"acme-server/crypto/csr.cc", "idn2.h"},
      {"acme-server/service/orders/orders.cc", "libpsl.h"},
      {"config/config.cc", "CLI/CLI.hpp"},
      {"acme-server/base/json.cc", "doctest/doctest.h"},
      {"acme-server/service/orders/orders.cc", "sys/socket.h"},
      {"acme-server/app/server/host.cc", "netinet/in.h"},
      {"acme-server/base/url.cc", "arpa/inet.h"},
      {"validators/caa.cc", "netdb.h"},
      // What is not written from the root, or has no owner.
      {"acme-server/core/order.cc", "order.h"},
      {"acme-server/core/order.cc", "core/order.h"},
      {"acme-server/core/order.cc", "../store/store.h"},
      {"acme-server/net/upstream_http.cc", "curl/curl.h"},
      {"acme-server/base/text.cc", "zlib.h"},
      {"acme-server/base/text.cc", "SOME_HEADER"},
  };
  for (const IncludeRow& row : rows) {
    CAPTURE(row.file);
    CAPTURE(row.header);
    // As the scan would meet it, so that its report names the file and the header.
    const auto found =
        violations_in({{std::string(row.file), {"string", std::string(row.header)}}});
    const bool outside = layer_of(row.file) == nullptr;
    REQUIRE(found.size() == (outside ? 2 : 1));
    CHECK(found.back().starts_with(std::string(row.file) + " includes " + std::string(row.header)));
  }
}

TEST_CASE("an include that keeps the table is not reported") {
  const IncludeRow rows[] = {
      {"acme-server/base/json.h", "nlohmann/json.hpp"},
      {"acme-server/base/log.cc", "spdlog/logger.h"},
      {"acme-server/base/metrics.cc", "prometheus/counter.h"},
      {"acme-server/base/entropy.cc", "sys/random.h"},
      {"acme-server/crypto/jwk.cc", "openssl/evp.h"},
      {"acme-server/core/certificate_record.h", "acme-server/crypto/certificate.h"},
      {"acme-server/store/accounts.cc", "acme-server/crypto/jwk.h"},
      {"acme-server/net/tls_stream.cc", "openssl/ssl.h"},
      {"acme-server/http/beast_engine.cc", "boost/asio.hpp"},
      {"acme-server/http/tls.cc", "openssl/x509.h"},
      {"acme-server/store/sql/lock_file.cc", "fcntl.h"},
      {"config/config.h", "acme-server/http/http_options.h"},
      {"acme-server/service/orders/orders.cc", "validators/validator.h"},
      {"acme-server/app/server/server.cc", "config/config.h"},
      {"ca-backends/local_ca/local_ca.cc", "ca-backends/backend.h"},
      {"acme-server/app/main.cc", "CLI/CLI.hpp"},
  };
  for (const IncludeRow& row : rows) {
    CAPTURE(row.file);
    CAPTURE(row.header);
    CHECK_FALSE(violation(row.file, row.header));
  }
}

TEST_CASE("the scan sees includes however they are spaced, and nothing else") {
  CHECK(included_by("#include <string>") == "string");
  CHECK(included_by("#include \"acme-server/base/json.h\"  // why") == "acme-server/base/json.h");
  CHECK(included_by("  #  include<ares.h>") == "ares.h");
  CHECK(included_by("#include SOME_HEADER") == "SOME_HEADER");
  CHECK_FALSE(included_by("// #include <string>"));
  CHECK_FALSE(included_by("#pragma once"));
  CHECK_FALSE(included_by("#define include"));
  CHECK_FALSE(included_by(""));
}

}  // namespace
