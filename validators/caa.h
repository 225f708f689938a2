// CAA: may this CA issue for a name? The walk and the records of RFC 8659, with the parameters of
// RFC 8657, which are always honoured: to pass over them would permit more than was said.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/egress.h"

namespace gatehouse::validators {

// The most labels of a name whose records are asked for: each label is a question to the resolver.
// Names in use have under ten; 127 fit into a DNS name.
inline constexpr std::size_t kMaxCaaLabels = 20;

struct CaaRequest {
  Identifier identifier;  // a dns one, without "*."
  bool wildcard = false;  // the certificate is to have "*." and the identifier
  // The names under which records permit this CA (RFC 8659 section 4.2), in lower case.
  std::vector<std::string> identities;
  // Every URI that is the account's (RFC 8657 section 3); the first is the one to advise.
  std::vector<std::string> account_urls;
  std::string challenge_type;  // what the name was proven by (RFC 8657 section 4)
};

struct CaaResult {
  // None: this CA may issue. Type caa: a record forbids it (the sentence names where the record
  // stands and what to add), or the name has more labels than kMaxCaaLabels. Type dns: nobody can
  // tell, which counts as forbidden (RFC 8659 section 3); a later try may say otherwise.
  std::optional<Problem> problem;
  std::vector<std::string> trail;  // for the audit log: what was asked, what was found
};

// What the records of one name say, which are the relevant ones (RFC 8659 section 3): pure.
CaaResult judge_caa(const CaaRequest& request, const std::string& at, const net::DnsAnswer& found);

class Caa {
 public:
  // `egress` outlives this.
  explicit Caa(net::Egress& egress) : egress_(&egress) {}

  // Climbs from the name to its parent, up to the last label; the first that has records decides,
  // and none at all permits. All are asked for at once, but what stands above the first records
  // counts for nothing, nor does its failure. CNAME and DNAME are followed by the resolver, the
  // walk goes on from the name itself. A name with more than kMaxCaaLabels labels is refused
  // without a question. Blocks; safe to call from many threads.
  CaaResult check(const CaaRequest& request, Deadline deadline);

 private:
  net::Egress* egress_;
};

}  // namespace gatehouse::validators
