// Answer: what an endpoint gives to its caller, at once or when a job has run.
#pragma once

#include <functional>
#include <utility>

#include "acme-server/http/http.h"
#include "acme-server/service/jobs/completions.h"

namespace gatehouse::web {

// A response without what is added on sending: nonce, index link, caching and CORS headers. With a
// ticket it may wait for the ticket's job.
struct Answer {
  // A plain response is an answer that waits for nothing.
  Answer(http::Response given)  // NOLINT(google-explicit-constructor): most endpoints return one
      : response(std::move(given)) {}

  Answer(http::Response now, service::Ticket job, std::function<http::Response()> read_anew)
      : response(std::move(now)), ticket(std::move(job)), anew(std::move(read_anew)) {}

  http::Response response;               // as things stand now
  service::Ticket ticket = {};           // empty: `response` is sent at once
  std::function<http::Response()> anew;  // what to send when the job has run; called at most once.
                                         // Outlives the request's Call and Proof.
};

}  // namespace gatehouse::web
