// Any octets as the beginning of a connection: how they are cut must not change how they are read,
// and what is read must keep the promises of framing.h.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "acme-server/base/http_syntax.h"
#include "acme-server/http/framing.h"

namespace {

using namespace gatehouse;        // NOLINT(google-build-using-namespace): a program of one function
using namespace gatehouse::http;  // NOLINT(google-build-using-namespace): as above

void must(bool holds) {
  if (!holds) std::abort();
}

void check_request_head(std::string_view block, const Limits& limits) {
  const auto head = check_head(block, limits, {"http://a.test"});
  if (!head) {
    must(head.error().status >= 400 && head.error().status < 500 && !head.error().detail.empty());
    return;
  }
  must(is_token(head->method) && head->target.starts_with('/'));
  must(head->headers.size() <= limits.header_count);
  for (const Header& header : head->headers)
    must(is_token(header.name) && is_field_value(header.value));
  must(find_header(head->headers, "Host") || !head->http_1_1);
  const bool coded = find_header(head->headers, "Transfer-Encoding") != nullptr;
  must(coded == std::holds_alternative<ChunkedBody>(head->body));
  must(!coded || !find_header(head->headers, "Content-Length"));
  if (const auto* sized = std::get_if<SizedBody>(&head->body))
    must(sized->size <= limits.body_bytes);
}

void check_chunks(std::string_view body, std::size_t cut) {
  constexpr std::uint64_t kLimit = 4096;
  ChunkScanner whole(kLimit);
  const auto at_once = whole.scan(body);
  ChunkScanner pieces(kLimit);
  auto first = pieces.scan(body.substr(0, cut));
  if (!first) {
    must(!at_once);
    return;
  }
  const auto second = pieces.scan(body.substr(*first));
  must(second.has_value() == at_once.has_value());
  if (!second) return;
  must(*first + *second == *at_once && pieces.complete() == whole.complete());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Limits limits;
  const std::size_t cut = size / 2;

  HeadScanner whole;
  const auto at_once = whole.scan(bytes, limits.header_bytes);
  HeadScanner pieces;
  const auto first = pieces.scan(bytes.substr(0, cut), limits.header_bytes);
  if (first && !*first) {
    const auto second = pieces.scan(bytes, limits.header_bytes);
    must(second.has_value() == at_once.has_value() && (!second || *second == *at_once));
  }
  check_request_head(bytes, limits);
  std::size_t body = 0;
  if (at_once && *at_once) {
    body = **at_once;
    check_request_head(bytes.substr(0, body), limits);
  }
  check_chunks(bytes.substr(body), (size - body) / 2);
  return 0;
}
