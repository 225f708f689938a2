// HttpResponseParser: HTTP/1.1 responses (RFC 9112) from servers that nobody trusts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::net {

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool body_cut = false;  // there was more than was asked for

  // The first header called `name`, which is in lower case.
  std::optional<std::string_view> header(std::string_view name) const;
};

// Status line and headers together, all interim responses included: servers' own limits are about
// as large.
inline constexpr std::size_t kMaxHttpHead = 16 * 1024;
// 100 and 103 come once, if at all.
inline constexpr int kMaxInterimResponses = 4;

// Fed with what arrives, until it is done or has failed. Refuses what RFC 9112 calls an error or
// leaves open: folded headers, blanks before the colon, control characters, two lengths or a length
// beside a transfer coding, a transfer coding other than chunked. Takes a bare LF as a line end
// (section 2.2).
class HttpResponseParser {
 public:
  enum class State { more, done, failed };

  // Stops, as done, once the body has more than `max_body` octets.
  explicit HttpResponseParser(std::size_t max_body) : max_body_(max_body) {}

  // `bytes` are the next to arrive. After `done` or `failed` they are ignored.
  State feed(std::string_view bytes);
  // The peer has ended its side.
  State finish();

  const std::string& failure() const {
    return failure_;
  }  // when failed: "sent a header line without a colon"

  const HttpResponse& response() const { return response_; }

 private:
  enum class Part {
    status_line,
    headers,
    body_of_length,
    body_to_end,
    chunk_size,
    chunk_data,
    chunk_end,
    trailers
  };

  bool step();
  std::optional<std::string> take_line();
  bool read_status_line(const std::string& line);
  bool read_header(const std::string& line);
  bool end_of_headers();
  bool choose_body();
  bool read_chunk_size(const std::string& line);
  bool take_body();
  void append(std::string_view bytes);
  bool fail(std::string why);

  std::size_t max_body_;
  State state_ = State::more;
  Part part_ = Part::status_line;
  std::string buffer_;         // arrived, not yet read
  std::size_t head_size_ = 0;  // of lines read so far, chunk sizes and trailers too
  int interim_ = 0;
  std::uint64_t left_ = 0;  // of the body or chunk
  HttpResponse response_;
  std::string failure_;
};

}  // namespace gatehouse::net
