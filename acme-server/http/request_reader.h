// Takes one request off a connection's octets: framing.h judges, a parser behind MessageParser
// reads, and both must come to the same end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/http/framing.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

// An HTTP parser that is fed octets: one object for one request.
class MessageParser {
 public:
  virtual ~MessageParser() = default;

  // Takes what it can of `bytes` and says how much that was: what is left it wants to see again
  // with more behind it.
  virtual Expected<std::size_t, Refusal> put(std::string_view bytes) = 0;

  virtual bool header_done() const = 0;
  virtual bool done() const = 0;

  // What it made of the header: for comparison. Once header_done().
  virtual std::string_view method() const = 0;
  virtual bool chunked() const = 0;
  virtual std::optional<std::uint64_t> content_length() const = 0;

  virtual std::string take_body() = 0;  // once done()
};

// Exists only while there is a request to read.
class RequestReader {
 public:
  enum class Progress { needs_more, wants_continue, complete };

  // `first`: octets that came behind the request before. `limits` outlives it.
  RequestReader(const Limits& limits, std::unique_ptr<MessageParser> parser, std::string first);

  bool empty() const { return bytes_.empty() && !head_; }

  bool is_head_request() const;  // as far as is known

  void append(std::string_view more) { bytes_.append(more); }

  // Reads on. A refusal is the end: what follows in the stream is not to be read. wants_continue is
  // said once.
  Expected<Progress, Refusal> advance(const std::vector<std::string>& origins);

  // Once complete, each once: the head, the body, and the octets behind.
  RequestHead take_head() { return *std::move(head_); }

  std::string take_body() { return parser_->take_body(); }

  std::string take_rest() { return std::move(bytes_); }

 private:
  std::optional<Refusal> read_head(std::size_t length, const std::vector<std::string>& origins);
  std::optional<Refusal> read_body();
  std::optional<Refusal> put(std::size_t length);

  const Limits& limits_;
  const std::unique_ptr<MessageParser> parser_;
  std::string bytes_;
  HeadScanner head_scanner_;
  std::optional<RequestHead> head_;
  std::optional<ChunkScanner> chunks_;
  std::uint64_t body_left_ = 0;  // of a SizedBody
  std::size_t approved_ =
      0;  // octets in front that chunks_ has passed and the parser has not used up
};

}  // namespace gatehouse::http
