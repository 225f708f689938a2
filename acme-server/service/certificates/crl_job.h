// publish_crl: rows in order -> CRL, at a revocation and on a schedule.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"

namespace gatehouse::service {

// A CRL is made whole, in the order of its rows, and looked at before it replaces the one in force.
// An entry stays until one CRL's lifetime after its certificate has ended, and is never left out
// before it stood on a CRL made after that end (RFC 5280 section 3.3). Nothing is signed by a clock
// that is in doubt: verifiers take no CRL from the future, while the one in force still holds. The
// DER goes into the database part by part, each in a transaction of its own, so that no other write
// waits for it.
class CrlJob final : public JobHandler {
 public:
  CrlJob(Context& context, PublicFiles& files) : context_(context), files_(files) {}

  store::JobKind kind() const override { return store::JobKind::publish_crl; }

  // While the clock is in doubt.
  bool paused() override;

  // subject: subject_of() the shard. Postpones itself to the next scheduled time; ends for a shard
  // that is no more.
  void run(JobRun& run) override;

  // Makes sure that every shard of every backend has its job: at start.
  void enqueue_all();

  // Makes, now, the CRL of every shard that has none, or one past its nextUpdate: at start, before
  // listeners open. Throws when one cannot be made. While the clock is in doubt none is made, and
  // each that is missing or past its end is logged ("crl.withheld").
  void make_missing();

  // "<issuer id> <url>".
  static std::string subject_of(const backends::CrlShard& shard);

 private:
  struct Target {
    backends::CrlSigner* signer;
    backends::CrlShard shard;
    backends::Issuer issuer;
  };

  std::vector<Target> targets();

  struct Made {
    store::CrlRecord record;
    Bytes der;
  };

  Made make(const Target& target);
  void store_parts(const Made& made);
  void publish(const Target& target, const std::function<void(store::Tx&)>& also);

  Context& context_;
  PublicFiles& files_;
};

}  // namespace gatehouse::service
