// How an answer goes out: its header block, and the engine's own answers as problem documents (RFC
// 9457).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http.h"

namespace gatehouse::http {

// What of the request decides over the form of its answer.
struct AnswerContext {
  bool head_request = false;  // RFC 9110 section 9.3.2: the header of GET, and no body
  bool http_1_1 = true;
  bool close = false;  // the connection ends after this answer
};

// An answer ready for the wire.
struct WireResponse {
  std::string head;                         // status line to empty line
  std::shared_ptr<const std::string> body;  // null when none is sent
  bool close = false;
};

// Gives the answer's octets, or a sentence for the log when the handler's answer must not be sent:
// a field value with CR, LF or NUL would let whoever chose it write the rest of the answer.
Expected<WireResponse, std::string> to_wire(const Response& response, const AnswerContext& context,
                                            Instant now);

// The engine's own answer: application/problem+json. 503 carries Retry-After.
Response problem_response(int status, std::string_view detail);

inline Response problem_response(const Refusal& refusal) {
  return problem_response(refusal.status, refusal.detail);
}

// IMF-fixdate, RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(Instant instant);

}  // namespace gatehouse::http
