// The raw arithmetic that figures are compared with: P-256 signatures on a key that is ready. And
// the CPU time of this process, which they are measured in.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <vector>

namespace gatehouse::bench {

// Milliseconds that this process has used, in user and system mode: all its threads, none of its
// children. The kernel knows the sum to the nanosecond, and how it divides by ticks alone.
double cpu_milliseconds();

class Signatures final {
 public:
  // Throws std::runtime_error, as the others do, when OpenSSL fails.
  Signatures();

  // One signature over a message of about the size of a signed request.
  std::vector<unsigned char> sign() const;
  // Verifies one.
  void verify() const;

 private:
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::vector<unsigned char> signature_;
};

// The signatures in one certificate: eight verifications (seven requests and the CSR) and one
// signature: milliseconds, the mean of many.
double arithmetic(const Signatures& signatures);

}  // namespace gatehouse::bench
