#include "bench/signatures.h"

#include <openssl/ec.h>

#include <array>
#include <ctime>
#include <stdexcept>

namespace gatehouse::bench {

namespace {

constexpr int kVerifications = 8;
constexpr int kCertificates = 3000;

using Context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

constexpr std::array<unsigned char, 400> kMessage{};

void require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL failed");
}

}  // namespace

double cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

Signatures::Signatures() : key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {
  require(key_ != nullptr);
  signature_ = sign();
}

std::vector<unsigned char> Signatures::sign() const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::vector<unsigned char> signature(128);
  std::size_t size = signature.size();
  require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
          EVP_DigestSign(context.get(), signature.data(), &size, kMessage.data(),
                         kMessage.size()) == 1);
  signature.resize(size);
  return signature;
}

void Signatures::verify() const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  require(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
          EVP_DigestVerify(context.get(), signature_.data(), signature_.size(), kMessage.data(),
                           kMessage.size()) == 1);
}

double arithmetic(const Signatures& signatures) {
  signatures.verify();
  const double before = cpu_milliseconds();
  for (int certificate = 0; certificate < kCertificates; ++certificate) {
    for (int i = 0; i < kVerifications; ++i) signatures.verify();
    (void)signatures.sign();
  }
  return (cpu_milliseconds() - before) / kCertificates;
}

}  // namespace gatehouse::bench
