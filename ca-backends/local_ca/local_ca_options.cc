#include "ca-backends/local_ca/local_ca_options.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"

namespace gatehouse::backends {
namespace {

constexpr std::size_t kMaxPath = 4096;       // PATH_MAX
constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un
constexpr std::size_t kMaxUserName = 256;    // LOGIN_NAME_MAX
constexpr std::size_t kMaxPrevious = 16;     // issuers live for years
constexpr std::size_t kMaxAlternates = 8;

std::string path_in(const JsonObject& object, std::string_view name) {
  std::string path = object.string(name, kMaxPath);
  if (path.empty()) throw JsonError(object.path_of(name) + ": is empty; give the path of a file");
  return path;
}

std::optional<SignerOptions> signer_in(const JsonObject& options) {
  const auto object = options.optional_object("signer");
  if (!object) return std::nullopt;
  object->only({"socket", "spawn", "server_user"});
  SignerOptions signer;
  signer.spawn = object->optional_bool("spawn").value_or(false);
  if (const auto socket = object->optional_string("socket", kMaxSocketPath))
    signer.socket = *socket;
  if (signer.spawn == !signer.socket.empty()) {
    throw JsonError(options.path_of("signer") +
                    ": give \"socket\", where the signer listens, or \"spawn\": true, and the "
                    "server starts one");
  }
  signer.server_user = object->optional_string("server_user", kMaxUserName).value_or("");
  if (signer.spawn && !signer.server_user.empty()) {
    throw JsonError(object->path_of("server_user") +
                    ": a signer that the server starts has the server's user; leave this out, or "
                    "start the signer yourself and give \"socket\"");
  }
  return signer;
}

// Without a key: another process, with a config of its own, has it.
enum class Key { required, optional };

IssuerFiles issuer_in(const JsonObject& object, Key key) {
  IssuerFiles files{.certificate = path_in(object, "certificate"),
                    .key = key == Key::required || object.has("key") ? path_in(object, "key") : "",
                    .passphrase = object.optional_string("passphrase", kMaxPath).value_or("")};
  const std::string& secret = files.passphrase;
  const bool reference = secret.starts_with("env:") || secret.starts_with("file:") ||
                         secret.starts_with("credential:");
  if (!secret.empty() && !reference) {
    // The text is not quoted: it may be the passphrase itself.
    throw JsonError(
        object.path_of("passphrase") +
        R"(: must be "env:NAME", "file:path" or "credential:NAME"; a passphrase does not belong in this file)");
  }
  return files;
}

}  // namespace

LocalCaOptions read_local_ca_options(const JsonObject& options) {
  options.only({"type", "certificate", "key", "passphrase", "signer", "root", "root_crl",
                "crl_shards", "previous", "alternates"});
  LocalCaOptions read;
  read.signer = signer_in(options);
  const Key key = read.signer && !read.signer->spawn ? Key::optional : Key::required;
  read.issuer = issuer_in(options, key);
  read.root = path_in(options, "root");
  read.root_crl = options.optional_string("root_crl", kMaxPath).value_or("");
  read.crl_shards =
      static_cast<int>(options.optional_integer("crl_shards", 1, kMaxCrlShards).value_or(1));
  read.alternates =
      options.optional_strings("alternates", kMaxAlternates, kMaxPath).value_or(read.alternates);
  if (const Json* previous = options.optional_array("previous")) {
    if (previous->size() > kMaxPrevious) {
      throw JsonError(options.path_of("previous") + ": holds more than " +
                      std::to_string(kMaxPrevious) + " issuers");
    }
    for (const Json& entry : *previous) {
      const JsonObject object(
          entry, options.path_of("previous") + "[" + std::to_string(read.previous.size()) + "]");
      object.only({"certificate", "key", "passphrase"});
      read.previous.push_back(issuer_in(object, key));
    }
  }
  return read;
}

bool spawns_local_signer(const JsonObject& options) {
  if (options.optional_string("type") != "local") return false;
  const auto signer = signer_in(options);
  return signer && signer->spawn;
}

void check_local_ca_options(const JsonObject& options) {
  read_local_ca_options(options);
}

}  // namespace gatehouse::backends
