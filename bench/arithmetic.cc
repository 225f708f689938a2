// gatehouse-arithmetic: the CPU milliseconds of the signatures in one certificate, and nothing
// else: eight verifications (seven requests and the CSR) and one signature, P-256, on keys that are
// ready.
#include <openssl/ec.h>
#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

namespace {

constexpr int kVerifications = 8;
constexpr int kCertificates = 3000;

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

// About the size of a signed request.
constexpr std::array<unsigned char, 400> kMessage{};

void require(bool good) {
  if (good) return;
  std::fputs("gatehouse-arithmetic: OpenSSL failed\n", stderr);
  std::exit(2);
}

double cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::vector<unsigned char> sign(EVP_PKEY* key) {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::vector<unsigned char> signature(128);
  std::size_t size = signature.size();
  require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
          EVP_DigestSign(context.get(), signature.data(), &size, kMessage.data(),
                         kMessage.size()) == 1);
  signature.resize(size);
  return signature;
}

void verify(EVP_PKEY* key, const std::vector<unsigned char>& signature) {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  require(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
          EVP_DigestVerify(context.get(), signature.data(), signature.size(), kMessage.data(),
                           kMessage.size()) == 1);
}

}  // namespace

int main() {
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  require(key != nullptr);
  const std::vector<unsigned char> signature = sign(key.get());
  verify(key.get(), signature);
  const double began = cpu_milliseconds();
  for (int certificate = 0; certificate < kCertificates; ++certificate) {
    for (int i = 0; i < kVerifications; ++i) verify(key.get(), signature);
    (void)sign(key.get());
  }
  std::printf("%.4f\n", (cpu_milliseconds() - began) / kCertificates);
}
