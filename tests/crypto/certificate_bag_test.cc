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
