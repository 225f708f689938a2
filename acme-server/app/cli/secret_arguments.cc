#include "acme-server/app/cli/secret_arguments.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/app/server/secret_source.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::app {

std::vector<std::string> new_keys() {
  std::vector<std::string> words;
  for (const crypto::NewKeyName& name : crypto::kNewKeys) words.emplace_back(name.word);
  return words;
}

crypto::NewKey read_key_kind(const std::string& option, const std::string& text) {
  const auto kind = crypto::new_key_from(text);
  if (!kind) {
    throw std::runtime_error(option + ": \"" + sanitize(text, 40) +
                             "\" is none of: " + crypto::new_key_words());
  }
  return *kind;
}

Secret read_passphrase(const std::string& reference) {
  return reference.empty() ? Secret()
                           : read_secret(reference, std::filesystem::current_path().string());
}

std::string absolute_reference(const std::string& reference) {
  constexpr std::string_view kFile = "file:";
  if (!reference.starts_with(kFile)) return reference;
  return std::string(kFile) +
         std::filesystem::absolute(reference.substr(kFile.size())).lexically_normal().string();
}

}  // namespace gatehouse::app
