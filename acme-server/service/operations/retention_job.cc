#include "acme-server/service/operations/retention_job.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/operations/retention_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/retention.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

using std::chrono::seconds;
using store::Retention;

constexpr std::string_view kPruneSubject = "server";
constexpr std::string_view kWalk = "retention.walk";  // in State: "<stage> <id>"
constexpr std::size_t kStageCount = 3;

struct Place {
  std::size_t stage = 0;
  std::string after;
};

std::string print(const Place& place) {
  return std::to_string(place.stage) + " " + place.after;
}

// Where an earlier run stopped; the beginning when the text is not one of ours.
Place read_place(const std::string& text) {
  if (text.size() < 2 || text[0] < '0' || text[0] >= '0' + static_cast<int>(kStageCount)) return {};
  return {.stage = static_cast<std::size_t>(text[0] - '0'), .after = text.substr(2)};
}

// What may go: what ended before the first, and what failed and was made before the second.
struct Before {
  Instant ended, failed;
};

// In this order: an authorization can be removed only after its orders.
struct Stage {
  const char* what;
  Retention::Page (*page)(Retention, std::string_view after, std::size_t limit, const Before&);
  bool (*remove)(Retention, const std::string&, const Before&);
};

constexpr std::array<Stage, kStageCount> kStageTable = {{
    {"certificates",
     [](Retention rows, std::string_view after, std::size_t limit, const Before& before) {
       return rows.certificates(after, limit, before.ended);
     },
     [](Retention rows, const std::string& id, const Before& before) {
       return rows.remove_certificate(CertificateId(id), before.ended);
     }},
    {"orders",
     [](Retention rows, std::string_view after, std::size_t limit, const Before& before) {
       return rows.orders(after, limit, before.ended, before.failed);
     },
     [](Retention rows, const std::string& id, const Before& before) {
       return rows.remove_order(OrderId(id), before.ended, before.failed);
     }},
    {"authorizations",
     [](Retention rows, std::string_view after, std::size_t limit, const Before& before) {
       return rows.authorizations(after, limit, before.ended, before.failed);
     },
     [](Retention rows, const std::string& id, const Before& before) {
       return rows.remove_authorization(AuthorizationId(id), before.ended, before.failed);
     }},
}};

// Removes one page of a stage, and returns how many rows.
std::size_t remove_page(Context& context, const Stage& stage, const Retention::Page& page,
                        const Before& before) {
  std::size_t removed = 0;
  for (std::size_t begin = 0; begin < page.ids.size(); begin += RetentionJob::kBatch) {
    const std::size_t end = std::min(begin + RetentionJob::kBatch, page.ids.size());
    removed += context.store.write([&](store::Tx& tx) {
      std::size_t gone = 0;
      for (std::size_t i = begin; i < end; ++i) {
        gone += stage.remove(tx.retention(), page.ids[i], before) ? 1U : 0U;
      }
      crash_point("prune.removing");
      return gone;
    });
    crash_point("prune.removed");
  }
  return removed;
}

}  // namespace

RetentionJob::RetentionJob(Context& context, const RetentionOptions& options)
    : context_(context), options_(options) {
  static_assert(kStages == kStageCount);
  for (std::size_t i = 0; i < kStageCount; ++i) {
    pruned_[i] = context.metrics.counter("gatehouse_pruned_total",
                                         "What was old and was taken away, by kind.",
                                         {{"what", kStageTable[i].what}});
  }
}

bool RetentionJob::paused() {
  return !context_.stops.may_begin();
}

void RetentionJob::run(JobRun& run) {
  const Instant now = context_.clock.now();
  const ServerRules rules = context_.policy.get()->server;
  // How long each stage keeps what has ended; none: forever.
  std::optional<seconds> certificates = options_.certificates;
  if (certificates) {
    certificates = std::max(*certificates, 2 * std::max(rules.crl_lifetime, rules.crl_interval));
  }
  const std::array<std::optional<seconds>, kStageCount> kept = {certificates, options_.orders,
                                                                options_.orders};
  Place place = read_place(
      context_.store.read([](store::Tx& tx) { return tx.state().get(kWalk).value_or(""); }));
  std::array<std::size_t, kStageCount> removed{};
  for (int pages = 0; pages < kPagesOfRun && place.stage < kStageCount; ++pages) {
    if (!kept[place.stage]) {
      place = {.stage = place.stage + 1, .after = ""};
      continue;
    }
    const Stage& stage = kStageTable[place.stage];
    const Before before{.ended = now - *kept[place.stage], .failed = now - options_.failed};
    const Retention::Page page = context_.store.read(
        [&](store::Tx& tx) { return stage.page(tx.retention(), place.after, kPage, before); });
    removed[place.stage] += remove_page(context_, stage, page, before);
    place = page.next ? Place{.stage = place.stage, .after = *page.next}
                      : Place{.stage = place.stage + 1, .after = ""};
  }
  const bool done = place.stage >= kStageCount;
  context_.store.write([&](store::Tx& tx) {
    tx.state().set(kWalk, done ? "0 " : print(place));
    run.postpone(tx, tx.job_now() + (done ? seconds(kEvery) : seconds(1)), "");
  });
  crash_point("prune.noted");
  for (std::size_t i = 0; i < kStageCount; ++i) {
    pruned_[i].add(static_cast<double>(removed[i]));
    if (removed[i] > 0) {
      context_.log.info("retention.pruned", {{"what", kStageTable[i].what}, {"rows", removed[i]}});
    }
  }
}

void RetentionJob::enqueue() {
  const std::string id = random_row_id(context_.entropy, context_.job_clock.now());
  context_.store.write([&](store::Tx& tx) {
    tx.jobs().enqueue(id, store::JobKind::prune, kPruneSubject, tx.job_now());
    tx.after_commit(context_.wake);
  });
}

}  // namespace gatehouse::service
