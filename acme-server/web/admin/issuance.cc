// `gatehouse stop-issuance` and `gatehouse resume-issuance`.
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxWhy = 1000;

Json to_json(const std::vector<service::Stop>& stops) {
  Json list = Json::array();
  for (const service::Stop& stop : stops) {
    list.push_back({{"reason", service::to_string(stop.reason)},
                    {"since", to_rfc3339(stop.since)},
                    {"by", to_string(stop.by)},
                    {"why", stop.why}});
  }
  return list;
}

}  // namespace

Json stops_json(Admin& admin) {
  return to_json(admin.context.stops.all());
}

Json stop_issuance(Admin& admin, const OperatorRequest& request) {
  const auto why = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"why"});
    std::string text = object.string("why", kMaxWhy);
    if (text.empty())
      throw JsonError("why is empty; give the reason, the next operator must know it");
    return text;
  });
  const bool first = admin.context.stops.stop(why, request.actor());
  return {{"changed", first}, {"stopped", stops_json(admin)}};
}

Json resume_issuance(Admin& admin, const OperatorRequest& request) {
  const bool accept = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"accept_clock"});
    return object.optional_bool("accept_clock").value_or(false);
  });
  using AcceptClock = service::IssuanceStops::AcceptClock;
  const auto resumed =
      admin.context.stops.resume(accept ? AcceptClock::yes : AcceptClock::no, request.actor());
  return {{"ended", to_json(resumed.ended)},
          {"stopped", to_json(resumed.remaining)},
          {"now", to_rfc3339(admin.context.clock.now())}};
}

}  // namespace gatehouse::web
