#include "acme-server/crypto/certificate_bag.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

using Problem = std::optional<std::string>;

constexpr std::string_view kPkcs12 =
    "it is PKCS#12 (.pfx, .p12), which holds a private key; export the certificates alone, as "
    "PKCS#7 (.p7b) or Base-64 X.509 (.cer)";

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

// What the outermost SEQUENCE begins with; DER and BER, whose length may be left open.
ByteView inside(ByteView sequence) {
  if (sequence.size() < 2 || sequence[0] != der::kSequence) return {};
  const std::size_t more = sequence[1] > 0x80 ? sequence[1] & 0x7fU : 0;
  return sequence.subspan(std::min(sequence.size(), 2 + more));
}

bool begins_with(ByteView octets, std::initializer_list<std::uint8_t> expected) {
  return octets.size() >= expected.size() &&
         std::ranges::equal(octets.first(expected.size()), expected);
}

// The whole of PKCS#7 and CMS: a content type, then what is in it.
bool looks_like_pkcs7(ByteView octets) {
  return begins_with(inside(octets), {V_ASN1_OBJECT});
}

// RFC 7292 section 4: version 3, then what is protected.
bool looks_like_pkcs12(ByteView octets) {
  return begins_with(inside(octets), {V_ASN1_INTEGER, 1, 3, der::kSequence});
}

// One block, whatever its label said: AD CS puts PKCS#7 under BEGIN CERTIFICATE.
Problem add_block(CertificateBag& bag, ByteView octets) {
  if (looks_like_pkcs12(octets)) return std::string(kPkcs12);
  return looks_like_pkcs7(octets) ? add_pkcs7(bag, octets) : add(bag, octets);
}

// Blocks of other things stand beside certificates in many files.
bool may_hold_certificates(std::string_view label) {
  constexpr std::array<std::string_view, 3> kParts = {"CERTIFICATE", "PKCS", "CMS"};
  const auto has = [&](std::string_view part) {
    return label.find(part) != std::string_view::npos;
  };
  return std::ranges::any_of(kParts, has) && !has("REQUEST") && !has("KEY");
}

// OpenSSL's TRUSTED CERTIFICATE has what it is trusted for behind the certificate.
ByteView certificate_in(std::string_view label, ByteView octets) {
  if (!label.starts_with("TRUSTED")) return octets;
  const auto first = der::Reader(octets).next(der::kSequence);
  return first ? first->whole : octets;
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
    if (!may_hold_certificates(name)) continue;
    const ByteView block(octets, static_cast<std::size_t>(length));
    if (auto problem = add_block(bag, certificate_in(name, block))) return problem;
  }
}

// Text that is no PEM: base64 without labels.
Problem add_text(CertificateBag& bag, std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return "it is text in UTF-16, as PowerShell's > writes it; save it as UTF-8 or ASCII";
  }
  const auto octets = base64_decode(text);
  if (!octets || octets->empty()) return "it is neither PEM nor DER nor base64";
  return add_block(bag, *octets);
}

Problem read_into(CertificateBag& bag, ByteView file) {
  if (is_binary(file)) return add_block(bag, file);
  const std::string_view text = as_text(file);
  return text.find("-----BEGIN ") == std::string_view::npos ? add_text(bag, text)
                                                            : add_pem(bag, file);
}

}  // namespace

Expected<CertificateBag, std::string> read_certificate_bag(ByteView file) {
  if (file.size() > kMaxBagBytes) {
    return Unexpected{"it is larger than " + std::to_string(kMaxBagBytes) + " bytes"};
  }
  CertificateBag bag;
  if (Problem problem = read_into(bag, file)) return Unexpected{std::move(*problem)};
  if (bag.certificates.empty()) {
    return Unexpected{bag.unreadable.empty() ? std::string("there is no certificate in it")
                                             : bag.unreadable.front()};
  }
  return bag;
}

}  // namespace gatehouse::crypto
