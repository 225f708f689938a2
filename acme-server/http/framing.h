// Where a request begins and ends, judged strictly: RFC 9112 without its leniencies. Beast parses
// only what has passed here, because it lets through framings that a proxy before us may read in
// another way (request smuggling, RFC 9112 section 11.2). No function here does I/O; what is
// refused ends the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

// Why the engine itself answers, and with what status. `detail` is fit for the client.
struct Refusal {
  int status = 400;
  std::string detail;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

// Finds the end of a header block in bytes that come in pieces, and stops at the first octet that
// cannot be part of one, so that garbage is answered at once rather than at the deadline.
class HeadScanner {
 public:
  // `bytes` is everything so far, of which earlier calls have seen a prefix. Gives the length of
  // the block with its empty line, nothing while that is not there, or a refusal. `limit` is
  // Limits::header_bytes.
  Expected<std::optional<std::size_t>, Refusal> scan(std::string_view bytes, std::size_t limit);

 private:
  std::size_t seen_ = 0;
};

struct NoBody {};

struct SizedBody {
  std::uint64_t size = 0;
};

struct ChunkedBody {};

// The head of one request, every doubt removed.
struct RequestHead {
  std::string method;
  std::string target;  // origin-form
  std::vector<Header> headers;
  std::variant<NoBody, SizedBody, ChunkedBody> body;
  bool http_1_1 = true;
  bool keep_alive = true;
  bool expects_continue = false;  // RFC 9110 section 10.1.1
};

// Reads a whole header block, its empty line included. `origins` as in Listener.
Expected<RequestHead, Refusal> check_head(std::string_view block, const Limits& limits,
                                          const std::vector<std::string>& origins);

// Follows a chunked body, RFC 9112 section 7.1, without keeping it: how long it is, and that every
// octet of its framing is as it must be. Extensions are skipped up to kMaxChunkExtensions octets in
// all; trailer fields are refused, since whoever merges them into the header lets a client add
// fields behind a proxy's back.
class ChunkScanner {
 public:
  static constexpr std::size_t kMaxChunkExtensions = 1024;
  static constexpr std::size_t kMaxSizeDigits = 8;  // 4 GiB: no body limit comes near

  explicit ChunkScanner(std::uint64_t body_limit) : body_left_(body_limit) {}

  // Takes the next octets. Gives how many of them belong to the body: fewer than there are only
  // once complete().
  Expected<std::size_t, Refusal> scan(std::string_view bytes);

  bool complete() const { return state_ == State::complete; }

 private:
  enum class State {
    size_first,
    size_digits,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    last_cr,
    last_lf,
    complete
  };

  std::optional<Refusal> take(char octet);
  std::optional<Refusal> end_of_size_line(char octet);

  State state_ = State::size_first;
  std::uint64_t chunk_ = 0;  // octets of this chunk's data still to come
  std::size_t digits_ = 0;
  std::size_t extensions_ = 0;
  std::uint64_t body_left_;
};

}  // namespace gatehouse::http
