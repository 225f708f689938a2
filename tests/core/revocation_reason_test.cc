#include "acme-server/core/revocation_reason.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

namespace gatehouse {
namespace {

TEST_CASE("cACompromise is said of CAs alone; holds, removals and other codes of nobody") {
  for (const int code : {0, 1, 3, 4, 5, 9}) {
    CAPTURE(code);
    CHECK(is_revocation_reason(code, Revoked::end_entity));
    CHECK(is_revocation_reason(code, Revoked::ca));
  }
  CHECK_FALSE(is_revocation_reason(kCaCompromise, Revoked::end_entity));
  CHECK(is_revocation_reason(kCaCompromise, Revoked::ca));
  for (const std::int64_t code :
       {std::int64_t{-1}, std::int64_t{6}, std::int64_t{7}, std::int64_t{8}, std::int64_t{10},
        std::int64_t{11}, (std::int64_t{1} << 32) + 1, std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(code);
    CHECK_FALSE(is_revocation_reason(code, Revoked::end_entity));
    CHECK_FALSE(is_revocation_reason(code, Revoked::ca));
  }
}

TEST_CASE("the list of reasons names what may be given") {
  CHECK(list_revocation_reasons(Revoked::end_entity) ==
        "0 (unspecified), 1 (keyCompromise), 3 (affiliationChanged), 4 (superseded), "
        "5 (cessationOfOperation), 9 (privilegeWithdrawn)");
  CHECK(list_revocation_reasons(Revoked::ca).find("2 (cACompromise)") != std::string::npos);
}

TEST_CASE("a reason's name and code lead to each other") {
  for (const RevocationReason& reason : kRevocationReasons) {
    CHECK(revocation_reason_name(reason.code) == reason.name);
    CHECK(revocation_reason_from(reason.name) == reason.code);
  }
  CHECK(revocation_reason_from("keyCompromise") == kKeyCompromise);
  CHECK_FALSE(revocation_reason_from("KeyCompromise"));
  CHECK_FALSE(revocation_reason_name(6));
}

}  // namespace
}  // namespace gatehouse
