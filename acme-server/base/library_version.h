// The version of a library as it is loaded, which may be older than the one we were built with.
#pragma once

#include <array>
#include <string>

namespace gatehouse {

struct LibraryVersion {
  std::string name;             // "OpenSSL"
  std::array<int, 3> number{};  // major, minor, patch

  std::string text() const {
    return name + " " + std::to_string(number[0]) + "." + std::to_string(number[1]) + "." +
           std::to_string(number[2]);
  }
};

}  // namespace gatehouse
