#include "acme-server/http/request_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

namespace {

Refusal two_readings() {
  return {400, "The request's framing can be read in two ways."};
}

}  // namespace

RequestReader::RequestReader(const Limits& limits, std::unique_ptr<MessageParser> parser,
                             std::string first)
    : limits_(limits), parser_(std::move(parser)), bytes_(std::move(first)) {}

bool RequestReader::is_head_request() const {
  return head_ ? head_->method == "HEAD" : bytes_.starts_with("HEAD ");
}

Expected<RequestReader::Progress, Refusal> RequestReader::advance(
    const std::vector<std::string>& origins) {
  if (!head_) {
    const auto length = head_scanner_.scan(bytes_, limits_.header_bytes);
    if (!length) return Unexpected{length.error()};
    if (!*length) return Progress::needs_more;
    if (auto refusal = read_head(**length, origins)) return Unexpected{*std::move(refusal)};
    // RFC 9110 section 10.1.1: no 100 when the body has begun to come.
    if (head_->expects_continue && bytes_.empty()) return Progress::wants_continue;
  }
  if (auto refusal = read_body()) return Unexpected{*std::move(refusal)};
  return parser_->done() ? Progress::complete : Progress::needs_more;
}

std::optional<Refusal> RequestReader::read_head(std::size_t length,
                                                const std::vector<std::string>& origins) {
  auto head = check_head(std::string_view(bytes_).substr(0, length), limits_, origins);
  if (!head) return std::move(head).error();
  if (auto refusal = put(length)) return refusal;
  head_ = *std::move(head);
  const auto* sized = std::get_if<SizedBody>(&head_->body);
  const bool chunked = std::holds_alternative<ChunkedBody>(head_->body);
  const bool bodiless = std::holds_alternative<NoBody>(head_->body);
  if (!parser_->header_done() || parser_->done() != bodiless || parser_->chunked() != chunked ||
      (sized && parser_->content_length() != sized->size) || parser_->method() != head_->method) {
    return two_readings();
  }
  if (sized) body_left_ = sized->size;
  if (chunked) chunks_.emplace(limits_.body_bytes);
  return std::nullopt;
}

std::optional<Refusal> RequestReader::read_body() {
  if (parser_->done()) return std::nullopt;
  if (!chunks_) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes_.size()));
    body_left_ -= length;
    if (auto refusal = put(length)) return refusal;
    if (parser_->done() != (body_left_ == 0)) return two_readings();
    return std::nullopt;
  }
  const auto scanned = chunks_->scan(std::string_view(bytes_).substr(approved_));
  if (!scanned) return scanned.error();
  approved_ += *scanned;
  const auto before = bytes_.size();
  if (auto refusal = put(approved_)) return refusal;
  approved_ -= before - bytes_.size();
  if (chunks_->complete() != parser_->done() || (parser_->done() && approved_ > 0)) {
    return two_readings();
  }
  return std::nullopt;
}

// Gives the parser the first `length` octets; what it has used up goes.
std::optional<Refusal> RequestReader::put(std::size_t length) {
  std::size_t used = 0;
  while (used < length && !parser_->done()) {
    const auto step = parser_->put(std::string_view(bytes_).substr(used, length - used));
    if (!step) return step.error();
    if (*step == 0) break;
    used += *step;
  }
  bytes_.erase(0, used);
  return std::nullopt;
}

}  // namespace gatehouse::http
