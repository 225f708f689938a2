#include "acme-server/service/certificates/certificates.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/digest.h"
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

PublicFiles::File file_of(std::string_view type, std::shared_ptr<const std::string> body) {
  // Half of the digest: 128 bits tell files apart.
  std::string tag = "\"" + crypto::sha256_hex(as_bytes(*body)).substr(0, 32) + "\"";
  return {.content_type = std::string(type),
          .body = std::move(body),
          .modified = std::nullopt,
          .expires = std::nullopt,
          .tag = std::move(tag),
          .number = 0};
}

PublicFiles::File file_of(std::string_view type, ByteView octets) {
  return file_of(type, shared(octets));
}

std::optional<PublicFiles::File> find_offline_crl(const Context& context, std::string_view path) {
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

// The DER of the certificate that a caIssuers URL of ours names: an issuer by its id, any CA of a
// chain by its key's hash, and the root also as "root", which is how the intermediate made by
// `gatehouse init` points to it.
std::optional<Bytes> find_issuer(const backends::BackendSet& backends, std::string_view name) {
  for (const backends::IssuersSnapshot& issuers : backends.known_issuers()) {
    for (const backends::Issuer& issuer : issuers->all) {
      if (issuer.id.str() == name) return issuer.certificate.der;
      for (const crypto::Certificate& above : issuer.chain) {
        if (crypto::spki_sha256_of(above.spki) == name) return above.der;
      }
      if (issuer.root && (name == "root" || crypto::spki_sha256_of(issuer.root->spki) == name)) {
        return issuer.root->der;
      }
    }
  }
  return std::nullopt;
}

// Every root once, in PEM. A backend that is not configured any more is nobody to be trusted newly.
std::string roots_pem(const backends::BackendSet& backends) {
  std::vector<Bytes> roots;
  std::string pem;
  const auto add = [&](const backends::Issuers& issuers) {
    for (const backends::Issuer& issuer : issuers.all) {
      if (!issuer.root || std::ranges::find(roots, issuer.root->der) != roots.end()) continue;
      roots.push_back(issuer.root->der);
      pem += crypto::to_pem(issuer.root->der);
    }
  };
  for (const backends::Backend* backend : backends.all()) {
    for (const backends::IssuersSnapshot& issuers : backends.known_issuers(backend->name)) {
      add(*issuers);
    }
  }
  return pem;
}

std::optional<PublicFiles::File> load(Context& context, std::string_view path) {
  constexpr std::string_view kIssuers = "/issuer/";
  constexpr std::string_view kDer = ".cer";
  if (path.starts_with("/crl/")) return find_offline_crl(context, path);
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
  const std::optional<Bytes> certificate = find_issuer(context.backends, path);
  if (!certificate) return std::nullopt;
  return file_of(kCertificateType, *certificate);
}

}  // namespace

std::optional<CertificateRecord> Certificates::get(const Account& account,
                                                   const CertificateId& id) {
  return context_.store.read([&](store::Tx& tx) { return tx.certificates().of(account.id, id); });
}

std::optional<PublicFiles::File> PublicFiles::held(const std::string& path, Instant now) const {
  return held_.with([&](const Held& held) -> std::optional<File> {
    const auto found = held.files.find(path);
    if (found == held.files.end() || found->second.until <= now) return std::nullopt;
    return found->second.file;
  });
}

void PublicFiles::hold(const std::string& path, const File& file, std::uint64_t generation,
                       Instant now) {
  held_.with([&](Held& held) {
    // forget() in the meantime: what was read may be the CRL before.
    if (held.generation != generation) return;
    held.files.insert_or_assign(path, HeldFile{.file = file, .until = now + kHeldFor});
  });
}

std::optional<PublicFiles::File> PublicFiles::find_crl(const std::string& path, Instant now) {
  const auto in_force = [&](store::Tx& tx) { return tx.crls().by_file(path); };
  if (!context_.store.read(in_force)) return std::nullopt;  // strangers' paths wait for nobody
  const std::lock_guard one_at_a_time(loading_);
  if (auto file = held(path, now)) return file;
  std::uint64_t generation = 0;
  File file;
  held_.with([&](const Held& held) {
    generation = held.generation;
    const auto found = held.files.find(path);
    if (found != held.files.end()) file = found->second.file;
  });
  const bool found = context_.store.read([&](store::Tx& tx) {
    const auto crl = in_force(tx);
    if (!crl) return false;
    if (file.number != crl->number) {
      file = file_of(kCrlType, std::make_shared<const std::string>(tx.crls().octets(*crl)));
      file.number = crl->number;
      file.modified = crl->this_update;
      file.expires = crl->next_update;
    }
    return true;
  });
  if (!found) return std::nullopt;
  hold(path, file, generation, now);
  return file;
}

std::optional<PublicFiles::File> PublicFiles::find(std::string_view path) {
  const Instant now = context_.job_clock.now();
  const std::string key(path);
  if (auto file = held(key, now)) return file;
  if (path.starts_with("/crl/")) {
    if (auto crl = find_crl(key, now)) return crl;
  }
  const auto generation = held_.with([](const Held& held) { return held.generation; });
  auto file = load(context_, path);
  if (file) hold(key, *file, generation, now);  // paths that strangers make up are not held
  return file;
}

void PublicFiles::forget(const std::string& path) {
  held_.with([&](Held& held) {
    ++held.generation;
    held.files.erase(path);
  });
}

}  // namespace gatehouse::service
