// Certificates whose revocation nobody could learn of: they are not over, and the CRL that they
// point to is published by no backend of the config.
#pragma once

#include <string>
#include <vector>

#include "acme-server/store/certificates.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {

// What a config's backends publish.
struct PublishedCrls {
  std::vector<backends::CrlShard> made_here;
  std::vector<std::string> backends;            // all of them, by name
  std::vector<std::string> publish_themselves;  // of these, whose CA makes its CRLs itself
};

PublishedCrls published_crls(const backends::BackendSet& backends);

// Whether a certificate of `backend` that points to this CRL can be found revoked on it. The CRL
// counts, whatever the backend that makes it is called by now.
bool is_published(const PublishedCrls& published, const std::string& backend,
                  const IssuerId& issuer, const std::string& crl_url);

struct UnpublishedCrls {
  // Of backends that are not in the config at all.
  std::vector<store::CrlInUse> of_missing_backends;
  // Of backends that are: an issuer was taken out of it, crl_shards or public_url was changed.
  std::vector<store::CrlInUse> of_present_backends;
};

// Those of `in_use` that are not published.
UnpublishedCrls unpublished_among(const std::vector<store::CrlInUse>& in_use,
                                  const PublishedCrls& published);

// What is wrong with a CRL of a backend that is in the config, and what mends it, as a sentence.
std::string explain_unpublished(const store::CrlInUse& crl);

}  // namespace gatehouse::service
