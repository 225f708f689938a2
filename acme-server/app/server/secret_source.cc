#include "acme-server/app/server/secret_source.h"

#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr std::string_view kFile = "file:";
constexpr std::string_view kEnvironment = "env:";
constexpr std::string_view kCredential = "credential:";
constexpr std::size_t kMaxSecretBytes = 4096;  // a passphrase or a token, not a document

std::string read_secret_file(const std::string& path) {
  if (const auto problem = key_file_problem(path)) throw std::runtime_error(*problem);
  return read_file(path, kMaxSecretBytes);
}

// systemd.exec(5), LoadCredential=: a file of our own in a folder that only we can see.
std::string read_credential(const std::string& name) {
  const char* folder = ::secure_getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    throw std::runtime_error("credential:" + name +
                             ": the service manager has given us no credentials; add "
                             "LoadCredential=" +
                             name + ":PATH to the unit");
  }
  if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos) {
    throw std::runtime_error("credential:" + sanitize(name, 200) +
                             ": a credential's name is a file name");
  }
  // Its mode shows the mask of an access list that lets in us alone, and so looks too open.
  return read_file(std::string(folder) + "/" + name, kMaxSecretBytes);
}

std::string read_behind(std::string_view reference, const std::string& folder) {
  if (reference.starts_with(kFile)) {
    return read_secret_file(
        (std::filesystem::path(folder) / reference.substr(kFile.size())).lexically_normal());
  }
  if (reference.starts_with(kCredential)) {
    return read_credential(std::string(reference.substr(kCredential.size())));
  }
  if (reference.starts_with(kEnvironment)) {
    const std::string name(reference.substr(kEnvironment.size()));
    const char* value = ::secure_getenv(name.c_str());
    if (value == nullptr) {
      throw std::runtime_error("env:" + name + ": the environment has no such variable");
    }
    return value;
  }
  throw std::runtime_error(
      "a secret is given as file:PATH, credential:NAME or env:NAME, not by its text");
}

}  // namespace

Secret read_secret(std::string_view reference, const std::string& folder) {
  std::string text = read_behind(reference, folder);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) throw std::runtime_error(sanitize(reference, 200) + ": is empty");
  return Secret(std::move(text));
}

bool lacks_credentials(const Json& options) {
  if (::secure_getenv("CREDENTIALS_DIRECTORY") != nullptr) return false;
  if (options.is_string()) return options.get_ref<const std::string&>().starts_with(kCredential);
  return options.is_structured() && std::ranges::any_of(options, lacks_credentials);
}

}  // namespace gatehouse::app
