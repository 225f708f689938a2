// Where the tests find the project's files and the binaries built beside them.
#pragma once

#include <string>

namespace gatehouse::testing {

// The root of the source tree, without a trailing slash.
std::string source_directory();
// The build folder that holds the binaries under test, without a trailing slash.
std::string binary_directory();

}  // namespace gatehouse::testing
