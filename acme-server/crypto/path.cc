#include "acme-server/crypto/path.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

// Deeper than any company's CA, and enough verifications for a bag full of them.
constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kMaxVerifications = 256;

std::string quoted(const Certificate& certificate) {
  return certificate.subject_name.empty() ? "the certificate with serial " + certificate.serial
                                          : "\"" + certificate.subject_name + "\"";
}

// A depth-first search upwards that remembers what kept it from a root.
class Search final {
 public:
  Search(std::span<const Certificate> pool, const std::optional<Certificate>& root, Instant now)
      : root_(root), now_(now) {
    for (const Certificate& each : pool) add(each);
    if (root) add(*root);
  }

  void climb(std::vector<Certificate> chain) {
    const Certificate top = chain.back();
    bool named = false;
    for (const Certificate& above : pool_) {
      if (above.subject_name_der != top.issuer_name_der || is_on(chain, above)) continue;
      named = true;
      if (now_ < above.not_before || now_ > above.not_after) {
        why_ = "the issuer " + quoted(above) + " of " + quoted(top) + " is valid from " +
               to_rfc3339(above.not_before) + " to " + to_rfc3339(above.not_after) + " only";
        continue;
      }
      if (++verifications_ > kMaxVerifications || !is_signed_by(top, above)) {
        why_ = why_unverifiable(top, above)
                   .value_or(quoted(top) + " is not signed by the " + quoted(above) +
                             " that was given");
        continue;
      }
      reach(chain, above);
    }
    if (!named && why_.empty()) {
      why_ = "the certificate of \"" + top.issuer_name + "\", the issuer of " + quoted(top) +
             ", is not among those given";
    }
  }

  Expected<Path, std::string> outcome() {
    if (found_.empty()) return Unexpected{why_};
    std::vector<std::string> roots;
    for (const Path& path : found_) {
      if (path.root.der == found_.front().root.der) continue;
      roots.push_back(quoted(path.root) + " until " + to_rfc3339(path.root.not_after));
    }
    if (!roots.empty()) {
      return Unexpected{"several roots are reached: " + quoted(found_.front().root) + " until " +
                        to_rfc3339(found_.front().root.not_after) + ", " + join(roots, ", ") +
                        "; say which one is meant"};
    }
    const auto length = [](const Path& path) { return path.chain.size(); };
    return *std::ranges::min_element(found_, {}, length);
  }

 private:
  void add(const Certificate& certificate) {
    const auto same = [&](const Certificate& each) { return each.der == certificate.der; };
    if (std::ranges::none_of(pool_, same)) pool_.push_back(certificate);
  }

  static bool is_on(const std::vector<Certificate>& chain, const Certificate& certificate) {
    return std::ranges::any_of(chain, [&](const Certificate& each) {
      return each.subject_name_der == certificate.subject_name_der && each.spki == certificate.spki;
    });
  }

  void reach(const std::vector<Certificate>& chain, const Certificate& above) {
    if (is_self_issued(above)) {
      if (root_ && above.der != root_->der) {
        why_ = "it leads to the root " + quoted(above) + ", not to the one that was named, " +
               quoted(*root_);
        return;
      }
      found_.push_back({.chain = chain, .root = above});
      return;
    }
    if (chain.size() >= kMaxDepth) {
      why_ = "there are more than " + std::to_string(kMaxDepth) + " CAs below the root";
      return;
    }
    std::vector<Certificate> longer = chain;
    longer.push_back(above);
    climb(std::move(longer));
  }

  std::vector<Certificate> pool_;
  const std::optional<Certificate>& root_;
  Instant now_;
  std::vector<Path> found_;
  std::string why_;
  std::size_t verifications_ = 0;
};

X509Handle decode(const Certificate& certificate) {
  const std::uint8_t* at = certificate.der.data();
  return require_handle(
      X509Handle(d2i_X509(nullptr, &at, static_cast<long>(certificate.der.size()))),
      "reading a certificate");
}

using StoreHandle = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

}  // namespace

bool is_self_issued(const Certificate& certificate) {
  return certificate.subject_name_der == certificate.issuer_name_der;
}

Expected<Path, std::string> build_path(const Certificate& below, std::span<const Certificate> pool,
                                       const std::optional<Certificate>& root, Instant now) {
  Search search(pool, root, now);
  search.climb({below});
  return search.outcome();
}

namespace {

// Goes on where nothing but the signature of the first certificate is wrong.
int forgive_missing_signature(int good, X509_STORE_CTX* context) {
  const bool of_the_first = X509_STORE_CTX_get_error_depth(context) == 0;
  const int error = X509_STORE_CTX_get_error(context);
  return good == 1 || (of_the_first && error == X509_V_ERR_CERT_SIGNATURE_FAILURE) ? 1 : 0;
}

int purpose_number(Purpose purpose) {
  switch (purpose) {
    case Purpose::any:
      return X509_PURPOSE_ANY;
    case Purpose::tls_server:
      return X509_PURPOSE_SSL_SERVER;
    case Purpose::tls_client:
      return X509_PURPOSE_SSL_CLIENT;
  }
  ACME_CHECK(false);
  return 0;
}

struct Verification {
  Instant at;
  std::optional<Purpose> purpose;  // none: no purpose is asked for
  X509_STORE_CTX_verify_cb callback = nullptr;
};

std::optional<std::string> verify_chain(const std::vector<Certificate>& chain,
                                        const Certificate& anchor, const Verification& how) {
  const StoreHandle store = require_handle(StoreHandle(X509_STORE_new()), "verifying a chain");
  const X509Handle trusted = decode(anchor);
  require_openssl(X509_STORE_add_cert(store.get(), trusted.get()) == 1, "verifying a chain");
  std::vector<X509Handle> decoded;
  const std::unique_ptr<STACK_OF(X509), FreeStack> others(sk_X509_new_null());
  require_openssl(others != nullptr, "verifying a chain");
  for (const Certificate& certificate : chain) {
    decoded.push_back(decode(certificate));
    require_openssl(sk_X509_push(others.get(), decoded.back().get()) > 0, "verifying a chain");
  }
  const StoreContext context =
      require_handle(StoreContext(X509_STORE_CTX_new()), "verifying a chain");
  require_openssl(
      X509_STORE_CTX_init(context.get(), store.get(), decoded.at(0).get(), others.get()) == 1,
      "verifying a chain");
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(to_unix(how.at)));
  if (how.purpose) {
    require_openssl(X509_VERIFY_PARAM_set_purpose(parameters, purpose_number(*how.purpose)) == 1,
                    "verifying a chain");
  }
  if (how.callback != nullptr) X509_STORE_CTX_set_verify_cb(context.get(), how.callback);
  if (!is_self_issued(anchor)) {
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  }
  const bool good = X509_verify_cert(context.get()) == 1;
  drain_openssl_errors();
  if (good) return std::nullopt;
  const int depth = X509_STORE_CTX_get_error_depth(context.get());
  const bool known = depth >= 0 && static_cast<std::size_t>(depth) < chain.size();
  const Certificate& at_fault = known ? chain[static_cast<std::size_t>(depth)] : anchor;
  return "OpenSSL does not accept " + quoted(at_fault) + ": " +
         X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace

std::optional<std::string> why_openssl_refuses(const std::vector<Certificate>& chain,
                                               const Certificate& anchor, Instant at) {
  return verify_chain(chain, anchor, {.at = at, .purpose = std::nullopt});
}

std::optional<std::string> why_openssl_would_refuse(const std::vector<Certificate>& chain,
                                                    const Certificate& anchor, Purpose purpose,
                                                    Instant at) {
  return verify_chain(chain, anchor,
                      {.at = at, .purpose = purpose, .callback = forgive_missing_signature});
}

}  // namespace gatehouse::crypto
