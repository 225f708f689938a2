// CompanyCa: a company's own root as AD CS or EJBCA would run it, made and asked with the `openssl`
// command, which shares no code with ours beside the library.
#pragma once

#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::testing {

// Runs `openssl …`; its exit code. What it prints goes nowhere.
inline int openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", 1 /* O_WRONLY */, 0);
  }
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(failed == 0);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class CompanyCa final {
 public:
  // `more` are openssl.cnf lines of the root's extensions.
  explicit CompanyCa(const std::string& name = "Company Root", const std::string& more = "")
      : name_(name) {
    must({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
          "-sha384", "-days", "3650", "-subj", "/O=Company/CN=" + name, "-keyout", path("root.key"),
          "-out", path("root.pem"), "-config",
          config("root",
                 "[req]\ndistinguished_name=dn\nx509_extensions=e\n[dn]\n[e]\n"
                 "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
                 "subjectKeyIdentifier=hash\n" +
                     more)});
  }

  // Signs the request in the file `csr` as an intermediate; the PEM file's path. `extensions`,
  // lines of openssl.cnf, come instead of the usual ones; `by` is the name of an intermediate made
  // before.
  std::string sign(const std::string& csr, const std::string& name,
                   const std::string& extensions = kIntermediate, const std::string& by = "root",
                   int days = 1825) const {
    must({"x509", "-req", "-in", csr, "-CA", path(by + ".pem"), "-CAkey", path(by + ".key"),
          "-CAcreateserial", "-days", std::to_string(days), "-sha384", "-out", path(name + ".pem"),
          "-extfile", config(name, extensions)});
    return path(name + ".pem");
  }

  // A CA of the company's own between the root and what it signs `by` this name.
  std::string intermediate(const std::string& name, const std::string& extensions = kIntermediate,
                           int days = 1825) const {
    must({"req", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Company/CN=" + name, "-keyout",
          path(name + ".key"), "-out", path(name + ".csr")});
    return sign(path(name + ".csr"), name, extensions, "root", days);
  }

  // PKCS#7 of PEM files, certs-only: what AD CS hands out as .p7b.
  std::string bag(const std::vector<std::string>& files, const std::string& name,
                  const std::string& form = "DER") const {
    std::vector<std::string> arguments = {"crl2pkcs7", "-nocrl", "-outform",
                                          form,        "-out",   path(name)};
    for (const std::string& file : files) {
      arguments.emplace_back("-certfile");
      arguments.push_back(file);
    }
    must(arguments);
    return path(name);
  }

  std::string der(const std::string& file, const std::string& name) const {
    must({"x509", "-in", file, "-outform", "DER", "-out", path(name)});
    return path(name);
  }

  std::string root() const { return path("root.pem"); }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  const std::string& name() const { return name_; }

  static constexpr const char* kIntermediate =
      "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\n"
      "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
      "crlDistributionPoints=URI:http://pki.company.test/root.crl\n";

 private:
  static void must(const std::vector<std::string>& arguments) {
    std::string all;
    for (const std::string& argument : arguments) all += argument + " ";
    REQUIRE_MESSAGE(openssl(arguments) == 0, all);
  }

  std::string config(const std::string& name, const std::string& text) const {
    write_file(path(name + ".cnf"), text, FileAccess::owner_only, ExistingFile::replace);
    return path(name + ".cnf");
  }

  TemporaryFolder folder_;
  std::string name_;
};

}  // namespace gatehouse::testing
