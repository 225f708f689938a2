// Resolver: DNS questions and their answers as values.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"

namespace gatehouse::net {

// The numbers are IANA's.
enum class RecordType : std::uint16_t { A = 1, CNAME = 5, TXT = 16, AAAA = 28, CAA = 257 };

std::string_view to_string(RecordType type);

// RFC 8659 section 4.1.
struct CaaRecord {
  std::uint8_t flags = 0;
  std::string tag;  // as written: compare without case
  std::string value;

  friend bool operator==(const CaaRecord&, const CaaRecord&) = default;
};

// What a name has of the type asked for; the other lists are empty.
struct DnsAnswer {
  std::vector<std::string>
      aliases;  // the names that CNAME records led to, in order; empty: none was followed
  std::vector<IpAddress> addresses;  // A, AAAA
  std::vector<std::string>
      texts;  // TXT: the strings of a record joined, as RFC 8555 section 8.4 is read everywhere
  std::vector<CaaRecord> caa;
  bool authenticated = false;  // the resolver says that DNSSEC proves it (the AD bit, RFC 4035)
};

struct DnsError {
  enum class Kind {
    nxdomain,  // the name does not exist
    no_data,   // the name exists and has no record of this type
    servfail,  // also what a validating resolver says when DNSSEC fails
    refused,   // and every other code that means "not by me"
    timeout,
    unreachable,  // no resolver could be talked to
    malformed,    // an answer that cannot be trusted
    truncated,    // an answer cut short even over TCP
    bad_name,     // not a name that can be asked for
  };
  Kind kind = Kind::servfail;
  std::string
      detail;  // a sentence without a stop: "no resolver answered for the A records of a.test"
  std::vector<std::string> aliases =
      {};  // nxdomain, no_data: the names that CNAME records led to; the last has nothing
};

// Whether the answer is that there is nothing to be had, rather than that it cannot be known.
inline bool has_none(const DnsError& error) {
  return error.kind == DnsError::Kind::nxdomain || error.kind == DnsError::Kind::no_data;
}

struct Question {
  std::string name;
  RecordType type = RecordType::A;
  Deadline deadline;
};

// Safe to call from many threads. Throws std::system_error or std::bad_alloc when this machine
// lacks descriptors or memory: a DnsError is DNS' doing. Blocks until there is an answer or
// `deadline`. An answer holds at least one record: none is no_data. Search domains, the hosts file
// and aliases of the environment are never used.
class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual Expected<DnsAnswer, DnsError> query(const std::string& name, RecordType type,
                                              Deadline deadline) = 0;

  // Takes one answer; false when it has no use for those that would follow.
  using Take = std::function<bool(const Expected<DnsAnswer, DnsError>&)>;

  // Asks `questions`, perhaps all at once, and hands over their answers in the order of the
  // questions. An answer is the one that query() gives; those of questions behind the last that is
  // taken are not waited for.
  virtual void query_each(std::span<const Question> questions, const Take& take) {
    for (const Question& question : questions) {
      if (!take(query(question.name, question.type, question.deadline))) return;
    }
  }
};

}  // namespace gatehouse::net
