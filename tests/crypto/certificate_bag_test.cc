#include "acme-server/crypto/certificate_bag.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "acme-server/crypto/path.h"
#include "tests/support/company_ca.h"

namespace gatehouse::crypto {
namespace {

using testing::CompanyCa;

Certificate certificate_in(const std::string& file) {
  return parse_pem_chain(read_file(file)).value().front();
}

Expected<CertificateBag, std::string> bag_in(const std::string& file) {
  return read_certificate_bag(as_bytes(read_file(file)));
}

std::vector<std::string> names_in(const CertificateBag& bag) {
  std::vector<std::string> names;
  for (const Certificate& each : bag.certificates) names.push_back(each.common_names.at(0));
  return names;
}

Instant soon_after(const Certificate& certificate) {
  return certificate.not_before + std::chrono::hours(1);
}

TEST_CASE("what AD CS and EJBCA hand out is read: PEM, DER, PKCS#7 in both forms, any order") {
  const CompanyCa ca;
  const std::string policy = ca.intermediate("Policy CA");
  const std::string text = "Bag Attributes\r\nsubject=whatever\r\n" + read_file(policy) + "\n" +
                           read_file(ca.root()) + read_file(policy);
  write_file(ca.path("text.pem"), text, FileAccess::owner_only, ExistingFile::refuse);
  const std::vector<std::string> both = {"Policy CA", "Company Root"};
  CHECK(names_in(bag_in(ca.path("text.pem")).value()) == both);
  CHECK(names_in(bag_in(ca.der(policy, "policy.cer")).value()) == std::vector{both[0]});
  for (const std::string form : {"DER", "PEM"}) {
    CAPTURE(form);
    auto names =
        names_in(bag_in(ca.bag({ca.root(), policy, policy}, "bag.p7b." + form, form)).value());
    std::ranges::sort(names);
    CHECK(names == std::vector<std::string>{"Company Root", "Policy CA"});
  }
  std::string crlf;
  for (const char c : read_file(ca.path("bag.p7b.PEM")))
    crlf += c == '\n' ? "\r\n" : std::string(1, c);
  CHECK(bag_in(ca.path("bag.p7b.PEM")).value().certificates.size() ==
        read_certificate_bag(as_bytes(crlf)).value().certificates.size());
}

std::string without_labels(const std::string& pem) {
  const std::size_t begin = pem.find('\n') + 1;
  return pem.substr(begin, pem.find("-----END") - begin);
}

std::string labelled(const std::string& pem, const std::string& label) {
  return "-----BEGIN " + label + "-----\r\n" + without_labels(pem) + "-----END " + label +
         "-----\r\n";
}

TEST_CASE("the content of a block decides what it is, whatever its label says") {
  const CompanyCa ca;
  const std::string policy = ca.intermediate("Policy CA");
  const std::string pem = read_file(policy);
  const std::string bag = read_file(ca.bag({policy}, "bag.pem", "PEM"));
  REQUIRE(testing::openssl({"x509", "-in", policy, "-trustout", "-addtrust", "serverAuth", "-out",
                            ca.path("trusted.pem")}) == 0);

  struct Row {
    std::string what, file;
  };

  const Row rows[] = {
      {"PKCS#7 under CERTIFICATE, as AD CS has it", labelled(bag, "CERTIFICATE")},
      {"PKCS#7 under CERTIFICATE CHAIN", labelled(bag, "CERTIFICATE CHAIN")},
      {"PKCS#7 under CMS", labelled(bag, "CMS")},
      {"a certificate under PKCS7", labelled(pem, "PKCS7")},
      {"X509 CERTIFICATE", labelled(pem, "X509 CERTIFICATE")},
      {"TRUSTED CERTIFICATE with what it is trusted for", read_file(ca.path("trusted.pem"))},
      {"a certificate in base64 alone", without_labels(pem)},
      {"PKCS#7 in base64 alone", without_labels(bag)},
      {"beside a key and its parameters", read_file(ca.path("Policy CA.key")) +
                                              "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                                              "-----END EC PARAMETERS-----\n" +
                                              pem},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto read = read_certificate_bag(as_bytes(row.file));
    REQUIRE_MESSAGE(read, read.error());
    CHECK(names_in(*read) == std::vector<std::string>{"Policy CA"});
    CHECK(read->unreadable.empty());
  }
}

TEST_CASE("a file with a private key in it is named for what it is") {
  const CompanyCa ca;
  REQUIRE(testing::openssl({"pkcs12", "-export", "-in", ca.root(), "-inkey", ca.path("root.key"),
                            "-passout", "pass:", "-out", ca.path("root.pfx")}) == 0);
  CHECK(bag_in(ca.path("root.pfx")).error().find("it is PKCS#12 (.pfx, .p12)") == 0);
  const std::string utf16 = "\xff\xfe-\0-\0";
  CHECK(read_certificate_bag(as_bytes(utf16)).error().find("UTF-16") != std::string::npos);
}

// A certificate of "Low", signed by an RSA CA as `more` tells openssl.
Certificate signed_by_rsa(const CompanyCa& ca, std::vector<std::string> more) {
  REQUIRE(testing::openssl({"req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Low", "-keyout",
                            ca.path("low.key"), "-out", ca.path("low.csr")}) == 0);
  std::vector<std::string> arguments = {"x509",
                                        "-req",
                                        "-in",
                                        ca.path("low.csr"),
                                        "-CA",
                                        ca.path("Policy CA.pem"),
                                        "-CAkey",
                                        ca.path("Policy CA.key"),
                                        "-CAcreateserial",
                                        "-out",
                                        ca.path("low.pem")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  REQUIRE(testing::openssl(arguments) == 0);
  return certificate_in(ca.path("low.pem"));
}

TEST_CASE("RSASSA-PSS signatures are taken, with their digest, salt and mask as they stand") {
  const CompanyCa ca;
  const Certificate policy = certificate_in(ca.intermediate("Policy CA"));
  const std::vector<std::string> pss = {"-sigopt", "rsa_padding_mode:pss"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), pss.begin(), pss.end());
    return signed_by_rsa(ca, more);
  };
  for (const char* digest : {"-sha256", "-sha384", "-sha512"}) {
    for (const char* salt : {"digest", "0", "max"}) {
      CAPTURE(digest);
      CAPTURE(salt);
      const Certificate low = with({digest, "-sigopt", "rsa_pss_saltlen:" + std::string(salt)});
      CHECK(is_signed_by(low, policy));
      CHECK_FALSE(why_unverifiable(low, policy));
      CHECK_FALSE(is_signed_by(low, certificate_in(ca.root())));
      Certificate forged = low;
      forged.der.back() ^= 1;
      CHECK_FALSE(is_signed_by(forged, policy));
    }
  }
  const Certificate mixed = with({"-sha256", "-sigopt", "rsa_mgf1_md:sha1"});
  CHECK_FALSE(is_signed_by(mixed, policy));
  CHECK(
      why_unverifiable(mixed, policy)
          .value_or("")
          .find("the algorithm RSASSA-PSS with SHA256 and MGF1 with SHA1, which is not accepted") !=
      std::string::npos);
  const Certificate sha1 = with({"-sha1"});
  CHECK_FALSE(is_signed_by(sha1, policy));
  CHECK(why_unverifiable(sha1, policy).value_or("").find("RSASSA-PSS with SHA1") !=
        std::string::npos);
}

TEST_CASE("an algorithm that is not accepted is named, and not that nobody signed") {
  const CompanyCa ca;
  const Certificate policy = certificate_in(ca.intermediate("Policy CA"));
  const Certificate low = signed_by_rsa(ca, {"-sha1"});
  const auto path = build_path(low, std::vector{low, policy, certificate_in(ca.root())},
                               std::nullopt, soon_after(policy));
  REQUIRE_FALSE(path);
  CHECK_MESSAGE(path.error().starts_with(
                    "\"CN=Low\" is signed with the algorithm sha1WithRSAEncryption, which is not "
                    "accepted"),
                path.error());
  const auto why = why_chain_fails({low, policy}, certificate_in(ca.root()), soon_after(low));
  CHECK(why.value_or("").find("sha1WithRSAEncryption") != std::string::npos);
}

TEST_CASE("what is no bag of certificates is refused in a sentence") {
  const CompanyCa ca;
  const std::string pem = read_file(ca.root());
  const std::string bag = read_file(ca.bag({ca.root()}, "bag.p7b"));
  REQUIRE(testing::openssl(
              {"crl2pkcs7", "-nocrl", "-outform", "DER", "-out", ca.path("empty.p7b")}) == 0);
  REQUIRE(testing::openssl({"cms", "-data_create", "-in", ca.root(), "-binary", "-outform", "DER",
                            "-out", ca.path("data.p7b")}) == 0);
  std::string many;
  for (std::size_t i = 0; i <= kMaxBagCertificates; ++i) {
    many += "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
  }

  struct Row {
    std::string file, says;
  };

  const Row rows[] = {
      {"", "neither PEM nor DER"},
      {"hello", "neither PEM nor DER"},
      {bag.substr(0, bag.size() - 1), "cut short"},
      {bag + "x", "cut short"},
      {pem.substr(0, pem.size() - 30), "cut short or is not base64"},
      {read_file(ca.path("root.key")), "no certificate in it"},
      {read_file(ca.path("empty.p7b")), "no certificate in it"},
      {read_file(ca.path("data.p7b")), "not signed data"},
      {"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "not one X.509"},
      {many, "more than 64"},
      {std::string(kMaxBagBytes + 1, ' '), "larger than"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    const auto read = read_certificate_bag(as_bytes(row.file));
    REQUIRE_FALSE(read);
    CHECK_MESSAGE(read.error().find(row.says) != std::string::npos, read.error());
  }
}

TEST_CASE("a path is built from whatever a CA hands out") {
  const CompanyCa ca;
  const CompanyCa stranger("Stranger");
  const Certificate root = certificate_in(ca.root());
  const Certificate policy = certificate_in(ca.intermediate("Policy CA"));
  REQUIRE(testing::openssl({"req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Low", "-keyout",
                            ca.path("low.key"), "-out", ca.path("low.csr")}) == 0);
  const Certificate low =
      certificate_in(ca.sign(ca.path("low.csr"), "Low", CompanyCa::kIntermediate, "Policy CA"));
  const std::vector<Certificate> pool = {certificate_in(stranger.root()), root, low, policy, root};
  const auto path = build_path(low, pool, std::nullopt, soon_after(low));
  REQUIRE_MESSAGE(path, path.error());
  CHECK(path->chain == std::vector{low, policy});
  CHECK(path->root == root);
  CHECK(why_openssl_refuses(path->chain, path->root, soon_after(low)) == std::nullopt);
  CHECK(why_openssl_refuses(path->chain, pool[0], soon_after(low)).value_or("").find("issuer") !=
        std::string::npos);

  const auto why = [&](std::vector<Certificate> given, std::optional<Certificate> named,
                       Instant now) { return build_path(low, given, named, now).error(); };
  CHECK(why({root}, {}, soon_after(low))
            .find("\"O=Company, CN=Policy CA\", the issuer of \"CN=Low\"") != std::string::npos);
  CHECK(why({policy}, {}, soon_after(low)).find("CN=Company Root") != std::string::npos);
  CHECK(why(pool, {}, policy.not_after + std::chrono::hours(1)).find("valid from") !=
        std::string::npos);
  CHECK(why(pool, pool[0], soon_after(low)).find("not to the one that was named") !=
        std::string::npos);
}

TEST_CASE("of two roots the one that was named is taken, and without a name neither") {
  const CompanyCa ca;
  // The root renewed: same key, same name.
  REQUIRE(testing::openssl({"x509", "-in", ca.root(), "-signkey", ca.path("root.key"), "-days",
                            "4000", "-out", ca.path("renewed.pem")}) == 0);
  const Certificate policy = certificate_in(ca.intermediate("Policy CA"));
  const Certificate renewed = certificate_in(ca.path("renewed.pem"));
  const std::vector<Certificate> pool = {certificate_in(ca.root()), renewed};
  CHECK(build_path(policy, pool, std::nullopt, soon_after(renewed)).error().find("several roots") !=
        std::string::npos);
  CHECK(build_path(policy, pool, renewed, soon_after(renewed)).value().root == renewed);
}

}  // namespace
}  // namespace gatehouse::crypto
