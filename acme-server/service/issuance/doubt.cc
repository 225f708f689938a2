#include "acme-server/service/issuance/doubt.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/base/log.h"
#include "acme-server/base/text.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/certificates/known_issuers.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/issuance_checks.h"
#include "acme-server/service/issuance/issued_certificate.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

struct Doubt {
  Order order;
  store::Issuance issuance;
};

[[noreturn]] void reject_not_in_doubt(const OrderId& id) {
  reject({.type = ProblemType::malformed,
          .detail = "Order " + sanitize(id.str(), 100) +
                    " is not in doubt; `gatehouse order show` tells why it stands where it stands.",
          .status = 409});
}

// Rejects an order that is not in doubt.
Doubt doubt_about(store::Tx& tx, const OrderId& id) {
  auto order = tx.orders().get(id);
  if (!order) {
    reject({.type = ProblemType::malformed,
            .detail = "There is no order " + sanitize(id.str(), 100) +
                      "; `gatehouse order list` shows the newest.",
            .status = 404});
  }
  auto issuance = tx.issuances().current(id);
  const auto job = tx.jobs().find(store::JobKind::issue_certificate, id.str());
  if (!issuance || issuance->state != store::IssuanceState::in_doubt || !job || !job->parked) {
    reject_not_in_doubt(id);
  }
  return {.order = std::move(*order), .issuance = std::move(*issuance)};
}

// The job that was parked finds an order with an outcome, and ends.
void release_job(store::Tx& tx, Context& context, const OrderId& id) {
  ACME_CHECK(tx.jobs().unpark(store::JobKind::issue_certificate, id.str(), tx.job_now()));
  tx.after_commit(context.wake);
}

[[noreturn]] void reject_certificate(const std::string& why) {
  reject(ProblemType::malformed, "The certificate cannot be adopted: " + why + ".");
}

}  // namespace

void fail_order(Context& context, const OrderId& order, const std::string& why,
                const Principal& by) {
  const Problem problem{.type = ProblemType::serverInternal,
                        .detail =
                            "The CA behind this server has not issued the certificate; make "
                            "a new order."};
  context.store.write([&](store::Tx& tx) {
    const Doubt doubt = doubt_about(tx, order);
    ACME_CHECK(tx.issuances().move(doubt.issuance.id, store::IssuanceState::in_doubt,
                                   store::IssuanceState::refused));
    ACME_CHECK(tx.orders().fail(order, problem));
    store::AuditEvent event = event_of_intent("order.failed", doubt.order, doubt.issuance, by);
    event.details["why"] = why;
    tx.audit().append(event);
    tx.audit().append(order_failed_event(doubt.order, problem));
    release_job(tx, context, order);
  });
  context.log.warning("order.failed", {{"order", order}, {"by", to_string(by)}, {"why", why}});
}

void adopt_certificate(Context& context, const OrderId& order, std::string_view file,
                       const Principal& by) {
  const Doubt doubt = context.store.read([&](store::Tx& tx) { return doubt_about(tx, order); });
  backends::Backend* backend = context.backends.find(doubt.issuance.backend);
  if (backend == nullptr) {
    reject_certificate("its backend " + doubt.issuance.backend +
                       " is not configured any more; put it back until this is done");
  }
  const backends::Intent intent = intent_of(doubt.issuance, doubt.order, nullptr);
  const auto issued = backend->certificates->read_certificate(file, intent);
  if (!issued) reject_certificate(issued.error());
  remember_issuers(context);
  const auto checked = check_answer(context, *backend, *issued, intent, doubt.issuance);
  if (!checked) reject_certificate(checked.error());
  CertificateRecord certificate =
      record_of(context, doubt.order, doubt.issuance, *issued, *checked);
  context.store.write([&](store::Tx& tx) {
    if (doubt_about(tx, order).issuance.id != doubt.issuance.id) reject_not_in_doubt(order);
    if (tx.certificates().by_serial(certificate.issuer, certificate.serial)) {
      reject_certificate("serial " + certificate.serial + " is another order's");
    }
    tx.audit().append(event_of_intent("order.adopted", doubt.order, doubt.issuance, by));
    store_certificate(tx, doubt.order, doubt.issuance, certificate, *checked, by);
    release_job(tx, context, order);
  });
  tell_issued(context, doubt.order, doubt.issuance, certificate);
}

}  // namespace gatehouse::service
