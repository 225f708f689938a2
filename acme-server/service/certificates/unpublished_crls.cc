#include "acme-server/service/certificates/unpublished_crls.h"

#include <algorithm>
#include <string>
#include <vector>

#include "acme-server/base/rfc3339.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/certificates.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {
namespace {

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

PublishedCrls published_crls(const backends::BackendSet& backends) {
  PublishedCrls published;
  for (const backends::Backend* backend : backends.all()) {
    published.backends.push_back(backend->name);
    if (backend->crls == nullptr) {
      published.publish_themselves.push_back(backend->name);
      continue;
    }
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    published.made_here.insert(published.made_here.end(), issuers->shards.begin(),
                               issuers->shards.end());
  }
  return published;
}

bool is_published(const PublishedCrls& published, const std::string& backend,
                  const IssuerId& issuer, const std::string& crl_url) {
  return is_among(published.publish_themselves, backend) ||
         std::ranges::any_of(published.made_here, [&](const backends::CrlShard& shard) {
           return shard.issuer == issuer && shard.url == crl_url;
         });
}

UnpublishedCrls unpublished_among(const std::vector<store::CrlInUse>& in_use,
                                  const PublishedCrls& published) {
  UnpublishedCrls found;
  for (const store::CrlInUse& crl : in_use) {
    if (is_published(published, crl.backend, crl.issuer, crl.url)) continue;
    const bool present = is_among(published.backends, crl.backend);
    (present ? found.of_present_backends : found.of_missing_backends).push_back(crl);
  }
  return found;
}

std::string explain_unpublished(const store::CrlInUse& crl) {
  return "backend " + crl.backend + " does not publish the CRL " + crl.url + " of issuer " +
         crl.issuer.str() + " any more, and certificates that are valid until " +
         to_rfc3339(crl.last_end) +
         " point to it: their revocations reach nobody. Put the issuer back into backends." +
         crl.backend + ".previous, or crl_shards to what it was";
}

}  // namespace gatehouse::service
