// gatehouse-arithmetic: the CPU milliseconds of the signatures in one certificate, and nothing
// else: eight verifications (seven requests and the CSR) and one signature, P-256, on keys that are
// ready.
#include <cstdio>
#include <exception>

#include "bench/signatures.h"

int main() {
  try {
    std::printf("%.4f\n", gatehouse::bench::arithmetic(gatehouse::bench::Signatures()));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gatehouse-arithmetic: %s\n", error.what());
    return 2;
  }
}
