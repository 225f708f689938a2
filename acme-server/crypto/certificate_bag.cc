#include "acme-server/crypto/certificate_bag.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

using Problem = std::optional<std::string>;

// CMS_* throughout: it reads PKCS#7 1.5, too, and the PKCS7_* functions have a worse history.
using CmsHandle = std::unique_ptr<CMS_ContentInfo, FreeWith<CMS_ContentInfo_free>>;

struct FreeCertificates {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};

struct FreeOctets {
  void operator()(void* octets) const { OPENSSL_free(octets); }
};

Problem add(CertificateBag& bag, ByteView der) {
  if (bag.certificates.size() + bag.unreadable.size() >= kMaxBagCertificates) {
    return "there are more than " + std::to_string(kMaxBagCertificates) + " certificates in it";
  }
  auto certificate = parse_certificate(der);
  if (!certificate) {
    bag.unreadable.push_back(certificate.error());
  } else if (std::ranges::find(bag.certificates, certificate->der, &Certificate::der) ==
             bag.certificates.end()) {
    bag.certificates.push_back(std::move(*certificate));
  }
  return std::nullopt;
}

Problem add_pkcs7(CertificateBag& bag, ByteView der) {
  const std::uint8_t* at = der.data();
  const CmsHandle content(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  drain_openssl_errors();
  if (!content || at != der.data() + der.size()) return "it is no PKCS#7, or is cut short";
  if (OBJ_obj2nid(CMS_get0_type(content.get())) != NID_pkcs7_signed) {
    return "it is PKCS#7, but not signed data, which is what carries certificates";
  }
  const std::unique_ptr<STACK_OF(X509), FreeCertificates> certificates(
      CMS_get1_certs(content.get()));
  drain_openssl_errors();
  for (int i = 0; i < sk_X509_num(certificates.get()); ++i) {
    std::uint8_t* octets = nullptr;
    const int length = i2d_X509(sk_X509_value(certificates.get(), i), &octets);
    const std::unique_ptr<std::uint8_t, FreeOctets> owner(octets);
    if (length <= 0) continue;
    if (auto problem = add(bag, ByteView(octets, static_cast<std::size_t>(length)))) {
      return problem;
    }
  }
  return std::nullopt;
}

// A SEQUENCE and nothing behind it, or one whose length is not in the second octet: no text.
bool is_binary(ByteView file) {
  return file.size() > 2 && file[0] == 0x30 && (file[1] >= 0x80 || file.size() == file[1] + 2U);
}

Problem add_pem(CertificateBag& bag, ByteView file) {
  const BioHandle bio = require_handle(
      BioHandle(BIO_new_mem_buf(file.data(), static_cast<int>(file.size()))), "reading PEM");
  while (true) {
    char* name = nullptr;
    char* header = nullptr;
    std::uint8_t* octets = nullptr;
    long length = 0;
    const bool read = PEM_read_bio(bio.get(), &name, &header, &octets, &length) == 1;
    const std::unique_ptr<char, FreeOctets> name_owner(name);
    const std::unique_ptr<char, FreeOctets> header_owner(header);
    const std::unique_ptr<std::uint8_t, FreeOctets> octets_owner(octets);
    if (!read) {
      const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      drain_openssl_errors();
      if (ended) return std::nullopt;
      return "a PEM block in it is cut short or is not base64";
    }
    const std::string_view kind(name);
    const ByteView der(octets, static_cast<std::size_t>(length));
    Problem problem;
    if (kind == "CERTIFICATE" || kind == "X509 CERTIFICATE") problem = add(bag, der);
    if (kind == "PKCS7" || kind == "CMS" || kind == "PKCS #7 SIGNED DATA") {
      problem = add_pkcs7(bag, der);
    }
    if (problem) return problem;
  }
}

}  // namespace

Expected<CertificateBag, std::string> read_certificate_bag(ByteView file) {
  if (file.size() > kMaxBagBytes) {
    return Unexpected{"it is larger than " + std::to_string(kMaxBagBytes) + " bytes"};
  }
  CertificateBag bag;
  Problem problem;
  if (!is_binary(file) && as_text(file).find("-----BEGIN ") != std::string_view::npos) {
    problem = add_pem(bag, file);
  } else if (parse_certificate(file)) {
    problem = add(bag, file);
  } else if (is_binary(file)) {
    problem = add_pkcs7(bag, file);
  } else {
    problem = "it is neither PEM nor DER";
  }
  if (problem) return Unexpected{std::move(*problem)};
  if (bag.certificates.empty()) {
    return Unexpected{bag.unreadable.empty() ? std::string("there is no certificate in it")
                                             : bag.unreadable.front()};
  }
  return bag;
}

}  // namespace gatehouse::crypto
