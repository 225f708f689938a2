// Links: ids to URLs and back. Every URL that a client ever sees of us is made here, of the
// configured base URL and never of what a request says
// (docs/adr/0008-base-url-is-configuration.md).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/core/ids.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {

// A value: immutable, safe to share and to copy.
class Links {
 public:
  explicit Links(const WebOptions& options);

  std::string directory(const DirectoryId& directory) const;
  std::string new_nonce(const DirectoryId& directory) const;
  std::string new_account(const DirectoryId& directory) const;
  std::string new_order(const DirectoryId& directory) const;
  std::string revoke_certificate(const DirectoryId& directory) const;
  std::string key_change(const DirectoryId& directory) const;
  std::string account(const DirectoryId& directory, const AccountId& id) const;
  std::string orders(const DirectoryId& directory, const AccountId& id) const;
  // The page of the account's orders that begins behind `after`.
  std::string orders(const DirectoryId& directory, const AccountId& id, const OrderId& after) const;
  std::string order(const DirectoryId& directory, const OrderId& id) const;
  std::string finalize(const DirectoryId& directory, const OrderId& id) const;
  std::string authorization(const DirectoryId& directory, const AuthorizationId& id) const;
  std::string challenge(const DirectoryId& directory, const ChallengeId& id) const;
  std::string certificate(const DirectoryId& directory, const CertificateId& id) const;
  // Alternate chain `number`, counted from 0.
  std::string alternate(const DirectoryId& directory, const CertificateId& id,
                        std::size_t number) const;

  // The URL of a request's target, as it must stand in the JWS (RFC 8555 section 6.4).
  std::string of_target(std::string_view target) const;

  // The account behind a `kid`: nothing unless `url` is, character for character, what account()
  // gives for some id.
  std::optional<AccountId> account_of(const DirectoryId& directory, std::string_view url) const;

  // A request's target taken apart: the directory that it names, whether or not there is one of
  // that name, and the path below it that routes are written in. "/directory" names the default
  // one. Nothing for a target that names none.
  struct Place {
    DirectoryId directory;
    std::string_view path;  // a part of the target
  };

  std::optional<Place> place_of(std::string_view target) const;

  const DirectoryId& default_directory() const { return default_directory_; }

 private:
  std::string under(const DirectoryId& directory, std::string_view path) const;

  std::string base_url_;
  std::string path_;
  DirectoryId default_directory_;
};

// What an id may look like in a URL: base64url, as random_row_id() makes them.
bool is_url_id(std::string_view text);

}  // namespace gatehouse::web
