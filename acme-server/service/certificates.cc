#include "acme-server/service/certificates.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/service/context.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

// What we hold is looked up again after this long: a CRL may have been made by another node, or
// brought from the machine that has the root's key.
constexpr std::chrono::seconds kHeldFor{60};

constexpr std::string_view kCrlType = "application/pkix-crl";           // RFC 2585 section 4.2
constexpr std::string_view kCertificateType = "application/pkix-cert";  // RFC 2585 section 4.1
constexpr std::string_view kPemType = "application/x-pem-file";

std::shared_ptr<const std::string> shared(ByteView octets) {
  return std::make_shared<const std::string>(as_text(octets));
}

PublicFiles::File file_of(std::string_view type, ByteView octets) {
  return {.content_type = std::string(type),
          .body = shared(octets),
          .modified = std::nullopt,
          .expires = std::nullopt};
}

std::optional<PublicFiles::File> find_crl(Context& context, std::string_view path) {
  const auto stored = context.store.read([&](store::Tx& tx) { return tx.crls().by_file(path); });
  if (stored) {
    PublicFiles::File file = file_of(kCrlType, stored->der);
    file.modified = stored->this_update;
    file.expires = stored->next_update;
    return file;
  }
  for (backends::Backend* backend : context.backends.all()) {
    if (backend->crls == nullptr) continue;
    for (const backends::OfflineCrl& crl : backend->crls->offline_crls()) {
      if (crl.file != path) continue;
      PublicFiles::File file = file_of(kCrlType, crl.der);
      file.modified = crl.this_update;
      file.expires = crl.next_update;
      return file;
    }
  }
  return std::nullopt;
}

// The certificate that a caIssuers URL of ours names: an issuer by its id, any CA of a chain by its
// key's hash, and the root also as "root", which is how the intermediate made by `gatehouse init`
// points to it.
const crypto::Certificate* find_issuer(const backends::BackendSet& backends,
                                       std::string_view name) {
  for (const backends::Backend* backend : backends.all()) {
    for (const backends::Issuer& issuer : backend->certificates->issuers()) {
      if (issuer.id.str() == name) return &issuer.certificate;
      for (const crypto::Certificate& above : issuer.chain) {
        if (crypto::spki_sha256_of(above.spki) == name) return &above;
      }
      if (issuer.root && (name == "root" || crypto::spki_sha256_of(issuer.root->spki) == name)) {
        return &*issuer.root;
      }
    }
  }
  return nullptr;
}

// Every root once, in PEM.
std::string roots_pem(const backends::BackendSet& backends) {
  std::vector<Bytes> roots;
  std::string pem;
  for (const backends::Backend* backend : backends.all()) {
    for (const backends::Issuer& issuer : backend->certificates->issuers()) {
      if (!issuer.root || std::ranges::find(roots, issuer.root->der) != roots.end()) continue;
      roots.push_back(issuer.root->der);
      pem += crypto::to_pem(issuer.root->der);
    }
  }
  return pem;
}

std::optional<PublicFiles::File> load(Context& context, std::string_view path) {
  constexpr std::string_view kIssuers = "/issuer/";
  constexpr std::string_view kDer = ".cer";
  if (path.starts_with("/crl/")) return find_crl(context, path);
  if (path == "/root.pem") {
    const std::string pem = roots_pem(context.backends);
    if (pem.empty()) return std::nullopt;
    return file_of(kPemType, as_bytes(pem));
  }
  if (!path.starts_with(kIssuers) || !path.ends_with(kDer) ||
      path.size() <= kIssuers.size() + kDer.size()) {
    return std::nullopt;
  }
  path.remove_prefix(kIssuers.size());
  path.remove_suffix(kDer.size());
  const crypto::Certificate* certificate = find_issuer(context.backends, path);
  if (certificate == nullptr) return std::nullopt;
  return file_of(kCertificateType, certificate->der);
}

}  // namespace

std::optional<CertificateRecord> Certificates::get(const Account& account,
                                                   const CertificateId& id) {
  return context_.store.read([&](store::Tx& tx) { return tx.certificates().of(account.id, id); });
}

std::optional<PublicFiles::File> PublicFiles::find(std::string_view path) {
  const Instant now = context_.job_clock.now();
  const std::string key(path);
  std::uint64_t generation = 0;
  const auto held = held_.with([&](const Held& current) -> std::optional<File> {
    generation = current.generation;
    const auto found = current.files.find(key);
    if (found == current.files.end() || found->second.until <= now) return std::nullopt;
    return found->second.file;
  });
  if (held) return held;
  auto file = load(context_, path);
  if (!file) return std::nullopt;  // paths that strangers make up are not held
  held_.with([&](Held& current) {
    // forget() in the meantime: what was read may be the CRL before.
    if (current.generation != generation) return;
    current.files.insert_or_assign(key, HeldFile{.file = *file, .until = now + kHeldFor});
  });
  return file;
}

void PublicFiles::forget(const std::string& path) {
  held_.with([&](Held& current) {
    ++current.generation;
    current.files.erase(path);
  });
}

}  // namespace gatehouse::service
