// The store's contract on each driver. A further driver is one more row of kDrivers.
#include "tests/store/contract.h"

#include <doctest/doctest.h>

#include <string>

namespace gatehouse::testing {
namespace {

struct Driver {
  const char* name;
  std::unique_ptr<sql::Database> (*wrap)(std::unique_ptr<sql::Database>);
};

const Driver kDrivers[] = {
    {"SQLite", [](std::unique_ptr<sql::Database> database) { return database; }},
};

}  // namespace

TEST_CASE("the store keeps its contract on every driver") {
  for (const Driver& driver : kDrivers) {
    for (const ContractCase& each : all_contract_cases()) {
      INFO("on ", std::string(driver.name), ": ", std::string(each.rule));
      TestStore store(driver.wrap);
      each.run(store);
    }
  }
}

}  // namespace gatehouse::testing
