// What a config names, as it is on this machine: keys, certificates, the database, ports.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "config/config.h"

namespace gatehouse::app {

// What came of looking at one thing.
struct Look {
  // wrong: a person must mend it. passes: it keeps serve from starting now, and may pass by itself.
  enum class Result { good, wrong, passes, not_looked_at };

  std::string what;  // the option: "backends.local", "listeners.acme[0]"
  Result result = Result::good;
  std::string text;  // a sentence
};

std::string_view to_string(Look::Result result);  // "good", "wrong", "wrong now", "not looked at"

// Looks at everything that `config` names, beside a server that runs too: no lock is taken, nothing
// is made or changed, no listener opened, no name resolved and no CA asked. What this user may not
// read is not looked at. Throws for nothing that it looks at.
std::vector<Look> look_at_named(const config::Config& config, Clock& clock, Entropy& entropy);

}  // namespace gatehouse::app
