// Certificates as other CAs hand them out: PEM, DER, PKCS#7.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::crypto {

inline constexpr std::size_t kMaxBagBytes = std::size_t{1024} * 1024;
inline constexpr std::size_t kMaxBagCertificates = 64;

struct CertificateBag {
  std::vector<Certificate> certificates;  // in the order they came, each once
  std::vector<std::string> unreadable;    // a sentence for each that is no certificate to us
};

// All certificates in a file: PEM with any text between its blocks, DER, or base64 without labels.
// A block's content decides what it is, not its label: certificates (OpenSSL's TRUSTED CERTIFICATE
// too) and certs-only PKCS#7 in DER or BER (RFC 5652 signed data; what it signs, if anything, is
// not looked at). Keys, requests and CRLs in PEM are passed over. The error is a sentence: longer
// than kMaxBagBytes, more than kMaxBagCertificates, PKCS#12, nothing of the kind, a block cut
// short.
Expected<CertificateBag, std::string> read_certificate_bag(ByteView file);

}  // namespace gatehouse::crypto
