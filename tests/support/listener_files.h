// ListenerFiles: a listener's certificate and key in files, of a CA that is not the server's.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/files.h"
#include "acme-server/crypto/issue.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/manual_clock.h"
#include "tests/support/program.h"

namespace gatehouse::testing {

struct ListenerFiles {
  ListenerFiles(const std::string& given_folder, ManualClock& clock)
      : folder(given_folder),
        ca(clock),
        certificate(folder + "/tls.pem"),
        key(folder + "/tls.key") {}

  CaFile make(const std::string& name, Instant ends) {
    return ca.make(name, &ca.root, [&](crypto::CertificateTemplate& leaf) {
      leaf.is_ca = false;
      leaf.key_usages = {"digitalSignature"};
      leaf.dns_names = {name};
      leaf.not_after = ends;
    });
  }

  void write(const std::string& chain, const std::string& key_pem,
             FileAccess access = FileAccess::owner_only) const {
    write_file(certificate, chain, FileAccess::everyone_reads, ExistingFile::replace);
    write_file(key, key_pem, access, ExistingFile::replace);
  }

  // What `command`, a pipe that begins with the PEM text on standard input, makes of it.
  std::string made_of(const std::string& pem, const std::string& command) const {
    const std::string in = folder + "/in.pem", out = folder + "/out";
    write_file(in, pem, FileAccess::owner_only, ExistingFile::replace);
    Program program("sh", {"-c", "{ " + command + "; } <" + in + " >" + out});
    REQUIRE_MESSAGE(program.wait() == 0, program.printed());
    return read_file(out);
  }

  std::string folder;
  LocalCaFiles ca;
  std::string certificate, key;
};

// A pipe that makes a PKCS#7 of it.
inline constexpr const char* kPkcs7 = "openssl crl2pkcs7 -nocrl -certfile /dev/stdin -outform DER";

}  // namespace gatehouse::testing
