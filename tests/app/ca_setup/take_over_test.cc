// A CA under a company's root: requests, what comes back, extension, alternates.
#include "acme-server/app/ca_setup/take_over.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "acme-server/app/server/config_checks.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "config/config.h"
#include "tests/support/company_ca.h"

namespace gatehouse::app {
namespace {

namespace fs = std::filesystem;
using testing::CompanyCa;
using testing::openssl;

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing failed";
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Fixture {
  Fixture() {
    options.directory = folder.path() + "/gatehouse";
    options.base_url = "https://acme.corp.test";
    options.organization = "Corp";
  }

  void request() { init_request(options, clock, entropy); }

  std::string home(const std::string& name) const { return options.directory + "/" + name; }

  std::string csr() const { return home("ca/issuer.csr"); }

  std::string import(std::vector<std::string> files, std::optional<std::string> root = {},
                     bool alternate = false) {
    std::string printed;
    const ImportOptions given{.directory = options.directory,
                              .backend = "",
                              .offered = {.files = std::move(files), .root = std::move(root)},
                              .alternate = alternate};
    for (const std::string& line : import_issuer(given, clock, entropy)) printed += line + "\n";
    return printed;
  }

  void check() const { check_parts(config::load_config(home("gatehouse.json"), {})); }

  int number_in_chain() const {
    return static_cast<int>(
        crypto::parse_pem_chain(read_file(home("ca/issuer.pem"))).value().size());
  }

  CompanyCa company;
  testing::TemporaryFolder folder;
  InitOptions options;
  SystemClock clock;
  OsEntropy entropy;
};

TEST_CASE("a request asks for what we are, and OpenSSL reads it so") {
  Fixture f;
  f.options.permitted_dns = {"corp.test"};
  f.request();
  CHECK(openssl({"req", "-in", f.csr(), "-verify", "-noout"}) == 0);
  REQUIRE(openssl({"req", "-in", f.csr(), "-noout", "-text", "-nameopt", "oneline", "-out",
                   f.home("text")}) == 0);
  const std::string text = read_file(f.home("text"));
  for (const char* part : {"O = Corp, CN = Corp Issuing CA", "CA:TRUE, pathlen:0",
                           "Certificate Sign, CRL Sign", "DNS:corp.test"}) {
    CHECK_MESSAGE(says(text, part), text);
  }
  CHECK_FALSE(fs::exists(f.home("ca/root.key")));
  CHECK_FALSE(key_file_problem(f.home("ca/issuer.key")));
  CHECK(says(failure_of([&] { f.check(); }),
             "waiting for the issuer's certificate; have " + f.csr() +
                 " signed by your CA, then run gatehouse init --import"));
  CHECK(says(failure_of([&] { f.request(); }), "exists; nothing was changed"));
}

TEST_CASE("whatever form the CA hands out is taken, and the chain put in order") {
  const auto deep = [](Fixture& f) {
    f.company.intermediate("Policy CA");
    return f.company.sign(f.csr(), "issuer", CompanyCa::kIntermediate, "Policy CA");
  };

  struct Row {
    std::string what;
    std::function<Offered(Fixture&)> offer;
  };

  const Row rows[] = {
      {"PKCS#7 with everything, duplicates and a stranger",
       [&](Fixture& f) {
         const std::string issuer = deep(f);
         const CompanyCa stranger("Stranger");
         return Offered{.files = {f.company.bag({f.company.root(), stranger.root(),
                                                 f.company.path("Policy CA.pem"), issuer, issuer},
                                                "all.p7b")},
                        .root = {}};
       }},
      {"PKCS#7 in PEM without the root, and the root in DER",
       [&](Fixture& f) {
         const std::string issuer = deep(f);
         return Offered{.files = {f.company.bag({f.company.path("Policy CA.pem"), issuer},
                                                "chain.p7b", "PEM")},
                        .root = f.company.der(f.company.root(), "root.cer")};
       }},
      {"DER and PEM, one file each",
       [&](Fixture& f) {
         return Offered{.files = {f.company.der(deep(f), "issuer.cer"), f.company.root(),
                                  f.company.path("Policy CA.pem")},
                        .root = {}};
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    f.request();
    const Offered offered = row.offer(f);
    const std::string printed = f.import(offered.files, offered.root);
    CHECK(says(printed, "SHA-256 fingerprint of the root: "));
    CHECK(f.number_in_chain() == 2);
    CHECK_NOTHROW(f.check());
    CHECK(openssl({"verify", "-CAfile", f.home("ca/root.pem"), "-untrusted",
                   f.home("ca/issuer.pem"), f.home("ca/issuer.pem")}) == 0);
    CHECK_FALSE(says(read_file(f.home("gatehouse.json")), "root_crl"));
    CHECK(says(f.import(offered.files, offered.root), "nothing was changed"));
  }
}

TEST_CASE("what cannot be an issuing CA of ours is refused with the next step") {
  const auto sign = [](Fixture& f, const std::string& extensions, int days = 1825) {
    return f.company.sign(f.csr(), "issuer", extensions, "root", days);
  };
  const std::string usual = CompanyCa::kIntermediate;

  struct Row {
    std::string what;
    std::function<std::string(Fixture&)> import;
    std::string says;
  };

  const Row rows[] = {
      {"a leaf",
       [&](Fixture& f) {
         return f.import({sign(f, "basicConstraints=critical,CA:FALSE\n"), f.company.root()});
       },
       "is no CA certificate; have the request signed as a subordinate CA"},
      {"no cRLSign",
       [&](Fixture& f) {
         return f.import({sign(f, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"),
                          f.company.root()});
       },
       "keyCertSign and cRLSign"},
      {"another key",
       [](Fixture& f) { return f.import({f.company.intermediate("Another"), f.company.root()}); },
       "none of the 2 certificates is for the key that waits for one; have"},
      {"no root", [&](Fixture& f) { return f.import({sign(f, usual)}); },
       "the certificate of \"O=Company, CN=Company Root\""},
      {"a root that is another's",
       [&](Fixture& f) {
         const CompanyCa other("Company Root");
         return f.import({sign(f, usual)}, other.root());
       },
       "is not signed by the \"O=Company, CN=Company Root\" that was given"},
      {"a path length that does not reach",
       [&](Fixture& f) {
         f.company.intermediate("Policy CA",
                                "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                                "keyUsage=critical,keyCertSign,cRLSign\n");
         return f.import({f.company.sign(f.csr(), "issuer", usual, "Policy CA"),
                          f.company.path("Policy CA.pem"), f.company.root()});
       },
       "path length"},
      {"a critical extension that nobody knows",
       [&](Fixture& f) {
         return f.import({sign(f, usual + "1.2.3.4=critical,ASN1:NULL\n"), f.company.root()});
       },
       "unhandled critical extension"},
      {"usages without serverAuth",
       [&](Fixture& f) {
         return f.import({sign(f, usual + "extendedKeyUsage=clientAuth\n"), f.company.root()});
       },
       "may certify for clientAuth alone (its extendedKeyUsage), and the certificate is for "
       "serverAuth"},
      {"usages without serverAuth in the middle",
       [&](Fixture& f) {
         f.company.intermediate("Policy CA", usual + "extendedKeyUsage=emailProtection\n");
         return f.import({f.company.sign(f.csr(), "issuer", usual, "Policy CA"),
                          f.company.path("Policy CA.pem"), f.company.root()});
       },
       "\"O=Company, CN=Policy CA\" may certify for 1.3.6.1.5.5.7.3.4 alone"},
      {"a constraint with a wildcard",
       [&](Fixture& f) {
         return f.import({sign(f, usual + "nameConstraints=critical,permitted;DNS:*.corp.test\n"),
                          f.company.root()});
       },
       "its name constraints have \"*.corp.test\", which is no DNS name"},
      {"a constraint with a dot at its end",
       [&](Fixture& f) {
         return f.import({sign(f, usual + "nameConstraints=critical,permitted;DNS:corp.test.\n"),
                          f.company.root()});
       },
       "its name constraints have \"corp.test.\", which is no DNS name"},
      {"constraints that leave the server's own name out",
       [&](Fixture& f) {
         return f.import({sign(f, usual + "nameConstraints=critical,permitted;DNS:other.test\n"),
                          f.company.root()});
       },
       "base_url, allowed_hosts: the server's own certificate would be of no use: "
       "\"acme.corp.test\" is outside"},
      {"no certificate at all", [](Fixture& f) { return f.import({f.csr()}); },
       "issuer.csr: there is no certificate in it"},
      {"a file that is not there", [](Fixture& f) { return f.import({f.home("nowhere")}); },
       "nowhere"},
      {"an alternate before there is anything",
       [&](Fixture& f) { return f.import({sign(f, usual), f.company.root()}, {}, true); },
       "without --alternate"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    f.request();
    const std::string failure = failure_of([&] { row.import(f); });
    CHECK_MESSAGE(says(failure, row.says), failure);
    CHECK_FALSE(fs::exists(f.home("ca/issuer.pem")));
    CHECK(says(failure_of([&] { f.check(); }), "waiting for the issuer's certificate"));
  }
}

TEST_CASE("a request has the subject that the company's CA wants, and keeps it") {
  Fixture f;
  f.options.subject = "C=DE, O=Corp, CN=Corp TLS CA";
  f.request();
  const CompanyCa& company = f.company;
  f.import({company.sign(f.csr(), "issuer"), company.root()});
  const auto subject_of = [&](const std::string& file) {
    return crypto::parse_pem_chain(read_file(file)).value().front().subject_name;
  };
  CHECK(subject_of(f.home("ca/issuer.pem")) == "C=DE, O=Corp, CN=Corp TLS CA");
  CHECK(says(request_again(f.options.directory, "").front(), "C=DE, O=Corp, CN=Corp TLS CA"));
  CHECK(subject_of(company.sign(f.csr(), "again")) == "C=DE, O=Corp, CN=Corp TLS CA");
  Fixture wrong;
  wrong.options.subject = "C=Germany, CN=x";
  CHECK(says(failure_of([&] { wrong.request(); }), "--subject: \"Germany\" cannot be the C"));
}

TEST_CASE("no request is made for a CA that could not certify its own server") {
  Fixture f;
  f.options.permitted_dns = {"apps.corp.test"};
  CHECK(says(failure_of([&] { f.request(); }), "\"acme.corp.test\" is outside"));
  CHECK_FALSE(fs::exists(f.options.directory));
}

TEST_CASE("an expired certificate of an old bag is passed over for the one that is good") {
  Fixture f;
  f.request();
  const std::string old = f.company.sign(f.csr(), "old", CompanyCa::kIntermediate, "root", 1);
  const std::string good = f.company.sign(f.csr(), "good");
  f.import({f.company.bag({old, good, f.company.root()}, "all.p7b")});
  CHECK(read_file(f.home("ca/issuer.pem")) ==
        crypto::to_pem(crypto::parse_pem_chain(read_file(good))->front().der));
}

TEST_CASE("a later certificate for the same name and key extends the CA") {
  Fixture f;
  f.request();
  f.import(
      {f.company.sign(f.csr(), "first", CompanyCa::kIntermediate, "root", 100), f.company.root()});
  const std::string longer = f.company.sign(f.csr(), "longer");
  CHECK(says(f.import({longer, f.company.root()}), "extended; restart"));
  const std::string held = read_file(f.home("ca/issuer.pem"));
  CHECK(says(failure_of([&] { f.import({f.company.path("first.pem"), f.company.root()}); }),
             "no later than the one"));
  const CompanyCa other("Other Root");
  const std::string crossed =
      other.sign(f.csr(), "crossed", CompanyCa::kIntermediate, "root", 3000);
  CHECK(says(failure_of([&] { f.import({crossed, other.root()}); }), "--alternate"));
  CHECK(read_file(f.home("ca/issuer.pem")) == held);
}

TEST_CASE("a cross-signed issuer becomes an alternate chain, and the config keeps its comments") {
  Fixture f;
  f.request();
  f.import({f.company.sign(f.csr(), "issuer"), f.company.root()});
  const CompanyCa other("Other Root");
  other.intermediate("Other Policy");
  const std::string crossed =
      other.sign(f.csr(), "crossed", CompanyCa::kIntermediate, "Other Policy");
  CHECK(says(
      failure_of([&] { f.import({f.company.path("issuer.pem"), f.company.root()}, {}, true); }),
      "an alternate chain leads to another"));
  const auto add = [&] {
    return f.import({crossed, other.path("Other Policy.pem"), other.root()}, {}, true);
  };
  CHECK(says(add(), "Served as an alternate chain"));
  const config::Config config = config::load_config(f.home("gatehouse.json"), {});
  CHECK(config.backends["local"]["alternates"] == Json::array({"ca/alternate-1.pem"}));
  CHECK(says(read_file(f.home("gatehouse.json")), "// Made by `gatehouse init`"));
  CHECK(crypto::parse_pem_chain(read_file(f.home("ca/alternate-1.pem")))->size() == 3);
  CHECK(says(add(), "nothing was changed"));
}

TEST_CASE(
    "a CA of one's own asks again, and another root certifies it with its name and identifier") {
  Fixture f;
  init(f.options, f.clock, f.entropy);
  const auto lines = request_again(f.options.directory, "");
  CHECK(says(lines.at(0), f.csr()));
  // OpenSSL's own idea of the key identifier is another than ours.
  CHECK(says(failure_of([&] {
               f.import({f.company.sign(f.csr(), "hashed"), f.company.root()}, {}, true);
             }),
             "certified with the name and subjectKeyIdentifier in it"));
  const std::string crossed = f.company.path("crossed.pem");
  REQUIRE(openssl({"x509", "-req", "-in", f.csr(), "-CA", f.company.root(), "-CAkey",
                   f.company.path("root.key"), "-CAcreateserial", "-copy_extensions", "copyall",
                   "-days", "1000", "-out", crossed}) == 0);
  CHECK(says(f.import({crossed}, f.company.root(), true), "Served as an alternate chain"));
  Fixture waiting;
  waiting.request();
  CHECK(says(request_again(waiting.options.directory, "").front(), "waits for its certificate"));
}

TEST_CASE("the key is opened with the passphrase that the config names") {
  Fixture f;
  write_file(f.folder.path() + "/pass", "open sesame\n", FileAccess::owner_only,
             ExistingFile::refuse);
  f.options.issuer_passphrase = Secret("open sesame");
  f.options.issuer_passphrase_reference = "file:" + f.folder.path() + "/pass";
  f.request();
  CHECK(says(read_file(f.home("ca/issuer.key")), "ENCRYPTED"));
  CHECK_NOTHROW(f.import({f.company.sign(f.csr(), "issuer"), f.company.root()}));
}

}  // namespace
}  // namespace gatehouse::app
