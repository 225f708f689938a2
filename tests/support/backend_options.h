// Options of a backend that are refused.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "ca-backends/registry.h"

namespace gatehouse::testing {

// A change of good options, and a part of what is said of it.
struct WrongOption {
  Json change;
  std::string says;
};

// What is said of the options of a backend called "corp"; "" when they are good.
inline std::string why_options_refused(const Json& options) {
  try {
    backends::check_backend_options(JsonObject(options, "backends.corp"));
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

// `good` is taken, and with each change it is refused in those words; a secret that stands in the
// config by mistake, "hunter2", is not repeated.
inline void check_wrong_options(const Json& good, const std::vector<WrongOption>& wrong) {
  CHECK(why_options_refused(good) == "");
  for (const WrongOption& each : wrong) {
    Json options = good;
    options.update(each.change);
    const std::string why = why_options_refused(options);
    CAPTURE(options.dump());
    CHECK_MESSAGE(why.find(each.says) != std::string::npos, why);
    CHECK(why.find("hunter2") == std::string::npos);
  }
}

}  // namespace gatehouse::testing
