// Any octets as the answer of a web server: how they are cut must not change how they are read, no
// limit is passed, and what is read is what the parser promises.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "acme-server/net/http_response.h"

namespace {

using gatehouse::net::HttpResponseParser;

constexpr std::size_t kMaxBody = 64;

void must(bool holds) {
  if (!holds) std::abort();
}

HttpResponseParser parse(std::string_view bytes, std::size_t piece) {
  HttpResponseParser parser(kMaxBody);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    if (parser.feed(bytes.substr(0, piece)) != HttpResponseParser::State::more) break;
  }
  must(parser.finish() != HttpResponseParser::State::more);
  return parser;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  HttpResponseParser whole = parse(bytes, bytes.size() + 1);
  HttpResponseParser pieces = parse(bytes, 1U + data[0] % 16U);
  must(whole.finish() == pieces.finish() && whole.failure() == pieces.failure());
  if (whole.finish() == HttpResponseParser::State::failed) {
    must(!whole.failure().empty() && whole.failure().size() < 300);
    return 0;
  }
  const auto& response = whole.response();
  const auto& other = pieces.response();
  must(response.status == other.status && response.headers == other.headers);
  must(response.body == other.body && response.body_cut == other.body_cut);
  must(response.status >= 200 && response.status <= 599 && response.body.size() <= kMaxBody);
  for (const auto& [name, value] : response.headers) {
    must(!name.empty() && name.find_first_of(" \t\r\n:") == std::string::npos);
    must(value.find_first_of("\r\n") == std::string::npos);
  }
  return 0;
}
