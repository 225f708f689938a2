// What operators' commands answer with: values as JSON. Members are never renamed nor taken away:
// scripts read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/service/operations/inventory.h"

namespace gatehouse::web {

// Rows of one answer, unless the command asks for fewer.
inline constexpr std::int64_t kPageLimit = 500;

// Without its chain, which show gives.
Json admin_json(const CertificateRecord& certificate, Instant now);
Json admin_json(const Account& account);
// An order as it stands in a list.
Json admin_json(const service::OrderView& view);
// One event, as it stands in an export: with sequence and hash.
Json admin_json(const store::AuditRow& row);

// The member `name` as a time (RFC 3339); none when it is not there.
std::optional<Instant> optional_instant(const JsonObject& object, std::string_view name);
// "limit", 1 to kPageLimit.
std::size_t page_limit(const JsonObject& object);
std::string text_or_empty(const JsonObject& object, std::string_view name);

}  // namespace gatehouse::web
