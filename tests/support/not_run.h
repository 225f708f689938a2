// not_run(): a test case that cannot run on this machine says so, by its name.
#pragma once

#include <doctest/doctest.h>

#include <iostream>
#include <string_view>

namespace gatehouse::testing {

// To be called from a test case, which then returns. `why` says what is missing: root, a program.
// `make test` repeats these lines after ctest's table, which knows binaries only.
inline void not_run(std::string_view why) {
  std::cout << "not run: " << doctest::getContextOptions()->currentTest->m_name << ": " << why
            << '\n';
}

}  // namespace gatehouse::testing
