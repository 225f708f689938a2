// `gatehouse init --csr` and `--import`: an issuing CA under a root that is not ours.
//
// The company's root stays where it is. We make a key and a request; what the company's CA makes of
// it comes back in any of the usual forms.
#pragma once

#include <string>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/app/ca_setup/issuer_files.h"

namespace gatehouse::app {

// Makes ca/issuer.key, ca/issuer.csr and gatehouse.json: like init(), all or nothing, but for a CA
// that waits for its certificate. A CA as it is asked for, under a root made up for it, is tried
// out first (try_out()): what the company's CA signs would be of no more use.
InitResult init_request(const InitOptions& options, Clock& clock, Entropy& entropy);

// A request, ca/issuer.csr, for the issuing CA that is there, name and key: for another root that
// is to certify it too, or for its own that is to extend it. Gives the lines to print.
std::vector<std::string> request_again(const std::string& directory, const std::string& backend);

struct ImportOptions {
  std::string directory;  // the folder with gatehouse.json in it
  std::string backend;    // empty: the only local one
  Offered offered;
  bool alternate = false;  // a chain of the same key to another root, to be served besides
};

// The certificate in: writes the root's file, then the issuer's; the same again changes nothing. A
// later certificate for the same name and key replaces the one in place: the CA is extended. With
// `alternate` the chain goes into a file of its own and into the config's "alternates". Gives the
// lines to print; throws std::runtime_error, with nothing changed.
std::vector<std::string> import_issuer(const ImportOptions& options, Clock& clock,
                                       Entropy& entropy);

}  // namespace gatehouse::app
