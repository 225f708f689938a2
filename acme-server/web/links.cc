#include "acme-server/web/links.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/ascii.h"
#include "acme-server/base/check.h"
#include "acme-server/core/ids.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxIdLength = 64;  // ours have 30 characters
constexpr std::string_view kDirectoryPath = "/directory";

}  // namespace

bool is_url_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdLength &&
         std::ranges::all_of(text, is_word_character);
}

Links::Links(const WebOptions& options)
    : base_url_(options.base_url),
      path_(options.path),
      default_directory_(options.default_directory) {
  ACME_CHECK(is_url_id(options.default_directory));
}

std::string Links::under(const DirectoryId& directory, std::string_view path) const {
  std::string url;
  url.reserve(base_url_.size() + path_.size() + 1 + directory.str().size() + path.size());
  return url.append(base_url_).append(path_).append("/").append(directory.str()).append(path);
}

std::string Links::directory(const DirectoryId& directory) const {
  return under(directory, kDirectoryPath);
}

std::string Links::new_nonce(const DirectoryId& directory) const {
  return under(directory, "/new-nonce");
}

std::string Links::new_account(const DirectoryId& directory) const {
  return under(directory, "/new-account");
}

std::string Links::new_order(const DirectoryId& directory) const {
  return under(directory, "/new-order");
}

std::string Links::revoke_certificate(const DirectoryId& directory) const {
  return under(directory, "/revoke-cert");
}

std::string Links::key_change(const DirectoryId& directory) const {
  return under(directory, "/key-change");
}

std::string Links::account(const DirectoryId& directory, const AccountId& id) const {
  return under(directory, "/account/" + id.str());
}

std::string Links::orders(const DirectoryId& directory, const AccountId& id) const {
  return account(directory, id) + "/orders";
}

std::string Links::orders(const DirectoryId& directory, const AccountId& id,
                          const OrderId& after) const {
  return orders(directory, id) + "/" + after.str();
}

std::string Links::order(const DirectoryId& directory, const OrderId& id) const {
  return under(directory, "/order/" + id.str());
}

std::string Links::finalize(const DirectoryId& directory, const OrderId& id) const {
  return order(directory, id) + "/finalize";
}

std::string Links::authorization(const DirectoryId& directory, const AuthorizationId& id) const {
  return under(directory, "/authorization/" + id.str());
}

std::string Links::challenge(const DirectoryId& directory, const ChallengeId& id) const {
  return under(directory, "/challenge/" + id.str());
}

std::string Links::certificate(const DirectoryId& directory, const CertificateId& id) const {
  return under(directory, "/certificate/" + id.str());
}

std::string Links::alternate(const DirectoryId& directory, const CertificateId& id,
                             std::size_t number) const {
  return certificate(directory, id) + "/alternate/" + std::to_string(number);
}

std::string Links::of_target(std::string_view target) const {
  return std::string(base_url_).append(target);
}

std::optional<AccountId> Links::account_of(const DirectoryId& directory,
                                           std::string_view url) const {
  const std::string prefix = account(directory, AccountId());
  if (!url.starts_with(prefix) || !is_url_id(url.substr(prefix.size()))) {
    return std::nullopt;
  }
  return AccountId(std::string(url.substr(prefix.size())));
}

std::optional<Links::Place> Links::place_of(std::string_view target) const {
  if (target == kDirectoryPath) {
    return Place{.directory = default_directory(), .path = target};
  }
  const std::string prefix = path_ + "/";
  if (!target.starts_with(prefix)) {
    return std::nullopt;
  }
  const std::string_view rest = target.substr(prefix.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !is_url_id(rest.substr(0, slash))) {
    return std::nullopt;
  }
  return Place{.directory = DirectoryId(std::string(rest.substr(0, slash))),
               .path = rest.substr(slash)};
}

}  // namespace gatehouse::web
