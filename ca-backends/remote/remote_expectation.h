// What a certificate from a CA elsewhere is held against.
#pragma once

#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {

// Key and names as requested; usages as the profile or `options` require. The CA chooses serial,
// CRL URL, which of its issuers signs, and the dates: it may backdate by two days, the validity is
// the profile's at most, and minimum_validity must be left. Dates that the client asked for are
// exact. A common name must be one of the names; the rest of the subject is the CA's.
//
// Rejects (malformed) dates that the profile does not allow, or any where the CA takes none.
CertificateExpectation remote_expectation(const IssueRequest& request,
                                          const RemoteCaOptions& options);

}  // namespace gatehouse::backends
