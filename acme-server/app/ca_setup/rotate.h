// `gatehouse rotate-issuer`: the next issuing CA.
//
// The new one is made beside the old: issuer-2.key, issuer-2.pem. The config is switched last, in
// one step: the new issuer is in use, the old one goes on signing its CRLs and finishes what it
// began. A run that was cut short is taken up by the next.
#pragma once

#include <string>
#include <vector>

#include "acme-server/app/ca_setup/init.h"
#include "acme-server/app/ca_setup/issuer_files.h"

namespace gatehouse::app {

struct RotateOptions {
  enum class How {
    root_key,  // our own root signs it
    request,   // a request for the company's root; then …
    import     // … what came back
  };

  std::string config_file;
  std::string backend;  // empty: the only local one
  How how = How::root_key;
  std::string root_key;  // the file
  Secret root_passphrase;
  Offered offered;
  crypto::NewKey key = crypto::NewKey::p256;
  std::string name;  // common name; empty: the old one's with the next number
  // Of the new key; empty: as the old one's.
  std::string passphrase_reference;
  bool again = false;  // although the issuer in use is not a day old
};

// Gives the lines to print; throws std::runtime_error, with the old issuer in use.
std::vector<std::string> rotate_issuer(const RotateOptions& options, Clock& clock,
                                       Entropy& entropy);

}  // namespace gatehouse::app
