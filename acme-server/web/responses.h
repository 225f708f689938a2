// Small makers of responses and their headers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/http/http.h"

namespace gatehouse::web {

http::Response json_response(int status, const Json& body);
http::Response text_response(int status, std::string_view content_type, std::string body);

// Adds a header line; a second one of the same name stands beside the first.
void add(http::Response& response, std::string_view name, std::string value);

// `<url>;rel="relation"` (RFC 8288).
void add_link(http::Response& response, std::string_view url, std::string_view relation);

// Seconds, at least 1: a client told to wait for 0 seconds may spin.
void add_retry_after(http::Response& response, std::chrono::seconds wait);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string http_date(Instant instant);

// The same form read back; nothing for another, the two obsolete ones too: who sends those gets the
// whole answer.
std::optional<Instant> parse_http_date(std::string_view text);

}  // namespace gatehouse::web
