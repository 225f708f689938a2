// The main function of every test binary. It alone is compiled with this machine's paths, so that a
// compiler cache serves every other test file to every checkout.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/support/paths.h"

namespace gatehouse::testing {

std::string source_directory() {
  return GATEHOUSE_SOURCE_DIR;
}

std::string binary_directory() {
  return GATEHOUSE_BINARY_DIR;
}

}  // namespace gatehouse::testing
