// Log and audit trail answer who had what done, for which names and from where.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;

struct Fixture {
  static TestServices::Options options(std::vector<Json>& lines) {
    TestServices::Options options;
    options.log = [&lines](LogLevel, std::string_view line) { lines.push_back(parse_json(line)); };
    return options;
  }

  Json logged(std::string_view event) const {
    const auto found = std::ranges::find_if(
        lines, [&](const Json& line) { return line["event"] == std::string(event); });
    return found == lines.end() ? Json::object() : *found;
  }

  Json audited(std::string_view kind) {
    Json details;
    for (const store::AuditRow& row :
         web.services.store->read([](store::Tx& tx) { return tx.audit().list(0, 1000); })) {
      if (row.event.kind != kind) continue;
      details = row.event.details;
      details["account"] = row.event.account ? row.event.account->str() : "";
    }
    return details;
  }

  std::vector<Json> lines;
  TestWeb web{options(lines)};
  Client client{web};
};

const std::string kAddress = "198.51.100.7";

TEST_CASE("ordered, issued and revoked name account, names, profile and the client's address") {
  Fixture f;
  f.web.peer = kAddress;
  f.client.new_account();
  const std::string account = f.client.kid.substr(f.client.kid.rfind('/') + 1);
  const TestKey key;
  const std::string url = f.client.certificate({"a.test", "b.test"}, key);
  const std::string pem = *f.client.get(url).body;
  const Bytes der = crypto::parse_pem_chain(pem).value().front().der;
  CHECK(f.client.post(TestWeb::url("/revoke-cert"), Json{{"certificate", base64url_encode(der)}})
            .status == 200);

  for (const char* event : {"order.created", "order.processing", "certificate.issued"}) {
    CAPTURE(event);
    const Json line = f.logged(event);
    CHECK(line["account"] == account);
    CHECK(line["names"] == "a.test, b.test");
    CHECK(line["profile"] == "default");
    CHECK(line["client"] == kAddress);
  }
  const Json revoked = f.logged("certificate.revoked");
  CHECK(revoked["by"] == "account:" + account);
  CHECK(revoked["account"] == account);
  CHECK(revoked["names"] == "a.test, b.test");
  CHECK(revoked["client"] == kAddress);

  for (const char* kind : {"account.created", "order.created", "order.finalized",
                           "certificate.issued", "certificate.revoked"}) {
    CAPTURE(kind);
    CHECK(f.audited(kind)["client"] == kAddress);
    CHECK(f.audited(kind)["account"] == account);
  }
  for (const char* kind : {"order.created", "certificate.issued", "certificate.revoked"}) {
    CAPTURE(kind);
    CHECK(f.audited(kind)["identifiers"] == Json::array({"dns:a.test", "dns:b.test"}));
  }
  CHECK(f.audited("certificate.issued")["profile"] == "default");
}

TEST_CASE("who has a key changed or an account closed is audited with the address") {
  Fixture f;
  f.web.peer = kAddress;
  f.client.new_account();
  f.client.post(f.client.kid, Json{{"status", "deactivated"}});
  CHECK(f.audited("account.deactivated")["client"] == kAddress);
}

TEST_CASE("the address that an order was finalized from outlives the process") {
  Fixture f;
  f.web.peer = kAddress;
  f.client.new_account();
  const std::string order = f.client.ready_order({"a.test"});
  f.client.finalize(order, TestKey().csr({"a.test"}));
  const OrderId id(order.substr(order.rfind('/') + 1));
  CHECK(f.web.services.store->read([&](store::Tx& tx) { return tx.orders().get(id); })
            ->finalization->client == kAddress);
}

}  // namespace
}  // namespace gatehouse::web
