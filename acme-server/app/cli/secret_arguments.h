// Arguments that several subcommands have: kinds of keys, passphrases.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/secret.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::app {

// The words for kinds of keys.
std::vector<std::string> new_keys();
// The kind of such a word. Throws std::runtime_error naming `option`.
crypto::NewKey read_key_kind(const std::string& option, const std::string& text);

// "file:PATH" or "env:NAME"; nothing for an empty reference.
Secret read_passphrase(const std::string& reference);

// As the server will read it, whose working folder is another one.
std::string absolute_reference(const std::string& reference);

}  // namespace gatehouse::app
