#include "tests/support/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>

namespace gatehouse::testing {

namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }

  void operator()(X509* certificate) const { X509_free(certificate); }

  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void need(bool held, const char* what) {
  if (!held) throw std::runtime_error(std::string("cannot make a test certificate: ") + what);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(length)};
}

Owned<BIO> reader_of(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  need(extension && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

void describe(X509* certificate, X509* issuer, const std::string& name, TlsUse use) {
  switch (use) {
    case TlsUse::ca:
      extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
      extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
      return;
    case TlsUse::server:
      extend(certificate, issuer, NID_ext_key_usage, "serverAuth");
      extend(certificate, issuer, NID_subject_alt_name, "DNS:" + name);
      return;
    case TlsUse::client:
      extend(certificate, issuer, NID_ext_key_usage, "clientAuth");
      return;
  }
}

}  // namespace

TlsIdentity make_tls_identity(const std::string& common_name, TlsUse use,
                              const TlsIdentity* issuer) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  need(key && certificate, "key");
  Owned<X509> issuer_certificate;
  Owned<EVP_PKEY> issuer_key;
  if (issuer) {
    issuer_certificate.reset(
        PEM_read_bio_X509(reader_of(issuer->certificate_pem).get(), nullptr, nullptr, nullptr));
    issuer_key.reset(
        PEM_read_bio_PrivateKey(reader_of(issuer->key_pem).get(), nullptr, nullptr, nullptr));
    need(issuer_certificate && issuer_key, "issuer");
  }
  X509* const raw = certificate.get();
  X509* const by = issuer ? issuer_certificate.get() : raw;

  std::uint64_t serial = 0;
  need(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1, "serial");
  X509_set_version(raw, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(raw), -86400);
  X509_gmtime_adj(X509_getm_notAfter(raw), 365L * 86400);
  X509_set_pubkey(raw, key.get());
  X509_NAME* const subject = X509_get_subject_name(raw);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(raw, X509_get_subject_name(by));
  describe(raw, by, common_name, use);
  need(X509_sign(raw, issuer ? issuer_key.get() : key.get(), EVP_sha256()) > 0, "signature");

  const Owned<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  const Owned<BIO> key_pem(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_X509(certificate_pem.get(), raw) == 1, "PEM");
  need(PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
           1,
       "PEM");
  unsigned char* der = nullptr;
  const int length = i2d_X509(raw, &der);
  need(length > 0, "DER");
  TlsIdentity identity{
      .certificate_pem = text_of(certificate_pem.get()),
      .key_pem = text_of(key_pem.get()),
      .certificate_der = {reinterpret_cast<char*>(der), static_cast<std::size_t>(length)}};
  OPENSSL_free(der);
  return identity;
}

}  // namespace gatehouse::testing
