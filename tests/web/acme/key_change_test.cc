#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::jwk_json;
using testing::problem_of;
using testing::sign_flattened;
using testing::TestKey;
using testing::TestWeb;

// A good key change, taken apart so that a row can spoil it.
struct Draft {
  Json inner_header;
  Json claim;
  const TestKey* signer = nullptr;
};

struct Fixture {
  Fixture() {
    client.new_account();
    other.new_account();
  }

  Draft draft() const {
    return {.inner_header = {{"alg", "ES256"}, {"jwk", jwk_json(fresh)}, {"url", url}},
            .claim = {{"account", client.kid}, {"oldKey", jwk_json(client.key)}},
            .signer = &fresh};
  }

  http::Response send(const Draft& draft) {
    return client.post(
        url, std::string_view(sign_flattened(*draft.signer, print_json(draft.inner_header),
                                             print_json(draft.claim))));
  }

  TestWeb web;
  Client client{web};
  Client other{web};
  TestKey fresh;
  std::string url = TestWeb::url("/key-change");
};

TEST_CASE("a key change that is not proven by both keys changes nothing") {
  struct Row {
    const char* why;
    std::function<void(Draft&, Fixture&)> spoil;
    ProblemType type = ProblemType::malformed;
  };

  const Row rows[] = {
      {"inner signed by the old key", [](Draft& d, Fixture& f) { d.signer = &f.client.key; }},
      {"inner signed by a stranger", [](Draft& d, Fixture& f) { d.signer = &f.other.key; }},
      {"inner with kid",
       [](Draft& d, Fixture& f) {
         d.inner_header.erase("jwk");
         d.inner_header["kid"] = f.client.kid;
       }},
      {"inner with nonce", [](Draft& d, Fixture& f) { d.inner_header["nonce"] = f.web.nonce(); }},
      {"inner for another URL",
       [](Draft& d, Fixture&) { d.inner_header["url"] = TestWeb::url("/new-order"); }},
      {"inner without URL", [](Draft& d, Fixture&) { d.inner_header.erase("url"); }},
      {"inner with another algorithm", [](Draft& d, Fixture&) { d.inner_header["alg"] = "none"; },
       ProblemType::badSignatureAlgorithm},
      {"inner with a private key", [](Draft& d, Fixture&) { d.inner_header["jwk"]["d"] = "AQAB"; },
       ProblemType::badPublicKey},
      {"no account", [](Draft& d, Fixture&) { d.claim.erase("account"); }},
      {"another account", [](Draft& d, Fixture& f) { d.claim["account"] = f.other.kid; }},
      {"no old key", [](Draft& d, Fixture&) { d.claim.erase("oldKey"); }},
      {"another old key", [](Draft& d, Fixture& f) { d.claim["oldKey"] = jwk_json(f.other.key); }},
      {"the new key as old", [](Draft& d, Fixture& f) { d.claim["oldKey"] = jwk_json(f.fresh); }},
      {"a private old key", [](Draft& d, Fixture&) { d.claim["oldKey"]["d"] = "AQAB"; }},
      {"old key as text", [](Draft& d, Fixture&) { d.claim["oldKey"] = "x"; }},
  };
  Fixture f;
  for (const Row& row : rows) {
    INFO(std::string(row.why));
    Draft draft = f.draft();
    row.spoil(draft, f);
    const http::Response response = f.send(draft);
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == row.type);
  }
  for (const char* payload : {"{}", "x", "[]"}) {
    CHECK(problem_of(f.client.post(f.url, std::string_view(payload))).type ==
          ProblemType::malformed);
  }
  CHECK(f.client.get(f.client.kid).status == 200);
  CHECK(f.send(f.draft()).status == 200);  // what the rows began with is good
}

TEST_CASE("from a key change on the new key counts and the old one does not") {
  Fixture f;
  const std::string order = header_of(f.client.new_order({"a.test"}), "Location");
  const http::Response changed = f.send(f.draft());
  CHECK(changed.status == 200);
  CHECK(json_of(changed)["status"] == "valid");
  CHECK(problem_of(f.client.get(f.client.kid)).type == ProblemType::malformed);
  Json header = f.client.header_with_kid(order);
  const http::Response shown = f.web.post(order, sign_flattened(f.fresh, print_json(header), ""));
  CHECK(shown.status == 200);
  CHECK(json_of(shown)["status"] == "pending");
}

TEST_CASE("a key that an account has already is refused with that account's URL") {
  Fixture f;
  Draft draft = f.draft();
  draft.inner_header["jwk"] = jwk_json(f.other.key);
  draft.signer = &f.other.key;
  http::Response response = f.send(draft);
  CHECK(response.status == 409);
  CHECK(problem_of(response).type == ProblemType::malformed);
  CHECK(header_of(response, "Location") == f.other.kid);

  draft.inner_header["jwk"] = jwk_json(f.client.key);  // its own, present one
  draft.signer = &f.client.key;
  response = f.send(draft);
  CHECK(response.status == 409);
  CHECK(header_of(response, "Location") == f.client.kid);

  f.other.post(f.other.kid, Json{{"status", "deactivated"}});
  draft.inner_header["jwk"] = jwk_json(f.other.key);
  draft.signer = &f.other.key;
  CHECK(f.send(draft).status == 409);
}

}  // namespace
}  // namespace gatehouse::web
