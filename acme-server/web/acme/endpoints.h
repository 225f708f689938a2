// The endpoints: payload -> service call -> response, one resource a file. What each needs to know
// of its caller is in its signature; which path leads to it is in routes.cc.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/api.h"

namespace gatehouse::web {

// directory.cc
http::Response show_directory(Api& api, const Call& call);
http::Response read_directory(Api& api, const PostAsGet& proof);
http::Response give_nonce(Api& api, const Call& call);
http::Response read_nonce(Api& api, const PostAsGet& proof);

// account.cc
http::Response create_account(Api& api, const SignedByKey& proof);
http::Response show_account(Api& api, const PostAsGet& proof);
Answer update_account(Api& api, const SignedByAccount& proof);
http::Response list_orders(Api& api, const PostAsGet& proof);
http::Response list_more_orders(Api& api, const PostAsGet& proof);

// key_change.cc
Answer change_key(Api& api, const SignedByAccount& proof);

// order.cc
Answer create_order(Api& api, const SignedByAccount& proof);
http::Response show_order(Api& api, const PostAsGet& proof);
Answer finalize_order(Api& api, const SignedByAccount& proof);

// authorization.cc
http::Response show_authorization(Api& api, const PostAsGet& proof);
Answer deactivate_authorization(Api& api, const SignedByAccount& proof);

// challenge.cc
http::Response show_challenge(Api& api, const PostAsGet& proof);
Answer respond_to_challenge(Api& api, const SignedByAccount& proof);

// certificate.cc
http::Response download_certificate(Api& api, const PostAsGet& proof);
http::Response download_alternate(Api& api, const PostAsGet& proof);

// revocation.cc
Answer revoke_by_account(Api& api, const SignedByAccount& proof);
http::Response revoke_by_key(Api& api, const SignedByKey& proof);

// For what the account has not, whether or not another account has it: 404 either way.
[[noreturn]] inline void reject_unknown(std::string_view what) {
  std::string detail = "The account has no such ";
  reject({.type = ProblemType::malformed,
          .detail = detail.append(what).append("; use the URLs that this server gave it."),
          .status = 404});
}

}  // namespace gatehouse::web
