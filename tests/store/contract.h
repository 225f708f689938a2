// The store's contract as cases that run on any driver, and the rows they are made with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/test_database.h"

namespace gatehouse::testing {

// One rule. `run` gets a store of its own.
struct ContractCase {
  const char* rule;
  void (*run)(TestStore& store);
};

// Each in the file of its table classes.
std::vector<ContractCase> account_cases();
std::vector<ContractCase> audit_cases();
std::vector<ContractCase> authorization_cases();
std::vector<ContractCase> certificate_cases();
std::vector<ContractCase> issuer_cases();
std::vector<ContractCase> job_cases();
std::vector<ContractCase> order_cases();
std::vector<ContractCase> refusal_cases();
std::vector<ContractCase> retention_cases();

inline std::vector<ContractCase> all_contract_cases() {
  std::vector<ContractCase> all;
  for (auto* cases : {account_cases, audit_cases, authorization_cases, certificate_cases,
                      issuer_cases, job_cases, order_cases, refusal_cases, retention_cases}) {
    for (const ContractCase& each : cases()) {
      all.push_back(each);
    }
  }
  return all;
}

inline const DirectoryId kDirectory("default");

inline Account sample_account(const std::string& name, const DirectoryId& directory = kDirectory) {
  Account account;
  account.id = AccountId("account-" + name);
  account.directory = directory;
  account.key_thumbprint = "thumbprint-" + name;
  account.key_jwk = R"({"kty":"EC"})";
  account.key_spki_sha256 = "spki-" + name;
  account.contacts = {"mailto:one@example.test", "mailto:two@example.test"};
  account.created = kNoon;
  return account;
}

inline Authorization sample_authorization(const std::string& name, const AccountId& account,
                                          const std::string& domain) {
  Authorization authorization;
  authorization.id = AuthorizationId("authorization-" + name);
  authorization.directory = kDirectory;
  authorization.account = account;
  authorization.identifier = {IdentifierType::dns, domain};
  authorization.profile = "default";
  authorization.created = kNoon;
  authorization.expires = kNoon + std::chrono::hours(24);
  for (const char* type : {"http-01", "dns-01"}) {
    Challenge challenge;
    challenge.id = ChallengeId("challenge-" + name + "-" + type);
    challenge.type = type;
    challenge.token = "token-" + name + "-" + type;
    authorization.challenges.push_back(challenge);
  }
  return authorization;
}

inline Order sample_order(const std::string& name, const AccountId& account,
                          const std::vector<Authorization>& authorizations) {
  Order order;
  order.id = OrderId("order-" + name);
  order.directory = kDirectory;
  order.account = account;
  order.profile = "default";
  for (const Authorization& authorization : authorizations) {
    order.identifiers.push_back(authorization.identifier);
    order.authorizations.push_back(authorization.id);
  }
  order.created = kNoon;
  order.expires = kNoon + std::chrono::hours(24);
  return order;
}

inline store::Issuance sample_issuance(const std::string& name, const OrderId& order) {
  store::Issuance issuance;
  issuance.id = IssuanceId("issuance-" + name);
  issuance.order = order;
  issuance.backend = "local";
  issuance.issuer = IssuerId("issuer");
  issuance.serial = "0a" + name;
  issuance.profile = "default";
  issuance.profile_hash = "profile-hash";
  issuance.key_policy_hash = "key-policy-hash";
  issuance.spki_sha256 = "spki-of-certificate-" + name;
  issuance.request = "tbs-" + name;
  issuance.crl_url = "http://pki.test/0.crl";
  issuance.not_before = kNoon;
  issuance.not_after = kNoon + std::chrono::hours(24 * 90);
  issuance.created = kNoon;
  return issuance;
}

inline CertificateRecord sample_certificate(const Order& order, const store::Issuance& issuance) {
  CertificateRecord certificate;
  certificate.id = CertificateId("certificate-of-" + order.id.str());
  certificate.directory = order.directory;
  certificate.account = order.account;
  certificate.order = order.id;
  certificate.issuance = issuance.id;
  certificate.backend = issuance.backend;
  certificate.issuer = issuance.issuer;
  certificate.serial = issuance.serial;
  certificate.spki_sha256 = issuance.spki_sha256;
  certificate.identifiers = order.identifiers;
  certificate.not_before = issuance.not_before;
  certificate.not_after = issuance.not_after;
  certificate.crl_url = issuance.crl_url;
  certificate.chain_pem = "leaf issuer";
  certificate.alternate_chains_pem = {"leaf cross", "leaf other"};
  certificate.issued_at = kNoon;
  return certificate;
}

// An account with one order for `domain` and its pending authorization, in the store.
inline Order insert_order(store::Tx& tx, const Account& account, const std::string& name,
                          const std::string& domain) {
  const Authorization authorization = sample_authorization(name, account.id, domain);
  tx.authorizations().insert(authorization);
  const Order order = sample_order(name, account.id, {authorization});
  tx.orders().insert(order);
  return order;
}

}  // namespace gatehouse::testing
