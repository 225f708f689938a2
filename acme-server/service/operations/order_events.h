// The audit events of an order's authorizations, which several orders may share.
#pragma once

#include <cstddef>

#include "acme-server/service/operations/order_diagnosis.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// This many events are looked at from the time that the first authorization was created.
inline constexpr int kAuthorizationPages = 10;
inline constexpr std::size_t kAuthorizationPage = 20'000;

// Adds them to the diagnosis's events. No index leads from an authorization to its events, since
// each issuance would pay for it: they are looked up in reads of some ten milliseconds each, until
// the order was finalized or all authorizations are concluded. A clock that was set back may hide
// some.
void add_authorization_events(store::Store& store, OrderDiagnosis& diagnosis);

}  // namespace gatehouse::service
