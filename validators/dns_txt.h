// TXT records that prove something: one lookup, and the sentences about what it found. For the
// validators that ask DNS (RFC 8555 section 8.4 and its relatives).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::validators {

// What is looked up, for whom, and what should be there.
struct TxtQuestion {
  std::string_view challenge_type;  // "dns-01"
  std::string identifier;           // "a.test"
  std::string name;                 // "_acme-challenge.a.test"
  std::string expected;             // the record's value
};

struct TxtLookup {
  Expected<net::DnsAnswer, net::DnsError> answer;
  std::string trail;  // for the audit log: what was asked, what was found
};

// Asks the resolver for the TXT records of `name`, over CNAME records wherever they lead. Blocks
// until `deadline` at most.
TxtLookup look_up_txt(net::Egress& egress, const std::string& name, Deadline deadline);

// The problem for a lookup that failed, by who can mend it: type unauthorized when the name is
// there without TXT records, dns for everything else.
Problem txt_problem(const net::DnsError& error, const TxtQuestion& question);

// The problem for records that are not as expected. `hint` stands before the next step; empty or a
// sentence that ends in a blank.
Problem txt_problem(const net::DnsAnswer& answer, const TxtQuestion& question,
                    const std::string& hint);

}  // namespace gatehouse::validators
