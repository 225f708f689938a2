// What clients download, and what anyone may: certificates, CRLs, issuers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

class Certificates {
 public:
  explicit Certificates(Context& context) : context_(context) {}

  // RFC 8555 section 7.4.2.
  std::optional<CertificateRecord> get(const Account& account, const CertificateId& id);

 private:
  Context& context_;
};

// Files that need no account. Bodies are shared, never copied per download; of a CRL there is one
// copy, however many come for it at once. Safe from any thread.
class PublicFiles {
 public:
  explicit PublicFiles(Context& context) : context_(context) {}

  struct File {
    std::string content_type;
    std::shared_ptr<const std::string> body;
    std::optional<Instant> modified, expires;  // of a CRL: its thisUpdate and nextUpdate
    std::string tag;          // an entity tag (RFC 9110 section 8.8.3): from the octets' SHA-256
    std::int64_t number = 0;  // of a CRL in the store; 0: another file
  };

  // "/crl/…" (DER, the CRL in force), "/issuer/<id>.cer" and "/issuer/root.cer" (DER), "/root.pem".
  // Nothing for any other path.
  std::optional<File> find(std::string_view path);

  // A new CRL is in force: drops what is held of the old one.
  void forget(const std::string& path);

 private:
  struct HeldFile {
    File file;
    Instant until;  // by the job clock
  };

  struct Held {
    std::map<std::string, HeldFile> files;
    std::uint64_t generation = 0;  // of forget(): who reads across one does not keep what was read
  };

  std::optional<File> held(const std::string& path, Instant now) const;
  void hold(const std::string& path, const File& file, std::uint64_t generation, Instant now);
  std::optional<File> find_crl(const std::string& path, Instant now);

  Context& context_;
  Guarded<Held> held_;
  std::mutex loading_;  // one reads a CRL from the database; who comes meanwhile waits for it
};

}  // namespace gatehouse::service
