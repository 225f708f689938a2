// The oracle of the restart tests: the database, read by nobody's code but SQL, against the key's
// own record of what it signed and against what clients were told.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/sql/open.h"
#include "tests/restart/stubborn_client.h"

namespace gatehouse::testing {

// What a look counted, all of it found in order.
struct Tally {
  std::size_t signatures = 0;  // different ones, of certificates
  std::size_t intents = 0;
  std::size_t certificates = 0;
  std::size_t revoked = 0;
  std::size_t crls = 0;  // published
  std::size_t audit = 0;
};

class Oracle final {
 public:
  // While no server runs.
  Oracle(const std::string& folder, std::string record) : record_(std::move(record)) {
    store::StoreOptions options;
    options.database = folder + "/gatehouse.db";
    database_ = sql::open(options);
    connection_ = database_->connect_writer();
  }

  // Between a kill and the next start: clients wait in the middle of what they do.
  Tally check_after_kill(const Acknowledged& told) {
    check_integrity();
    check_signatures();
    check_told(told);
    check_crls(told);
    return tally_;
  }

  // When every client has come to its end.
  Tally check_at_the_end(const Acknowledged& told) {
    check_after_kill(told);
    const auto complete = column("SELECT id FROM orders WHERE certificate_id IS NOT NULL");
    for (const std::string& order : told.orders) {
      // newOrder may have been asked twice; each that was answered went to its end.
      CHECK_MESSAGE(complete.contains(order), "order ", order, " was lost");
    }
    CHECK(none("SELECT id FROM orders WHERE error IS NOT NULL"));
    // Nobody revoked or deactivated what nobody was told of.
    CHECK(column("SELECT serial FROM certificates WHERE revoked_at IS NOT NULL") == told.revoked);
    CHECK(column("SELECT id FROM accounts WHERE status <> 'valid'") == told.deactivated);
    for (const auto& [account, thumbprint] : told.accounts) CHECK(!thumbprint.empty());
    return tally_;
  }

 private:
  std::set<std::string> column(std::string_view sql) {
    std::set<std::string> values;
    for (const sql::Row& row : connection_->query(sql, {})) values.insert(row.text(0));
    return values;
  }

  bool none(std::string_view sql) { return connection_->query(sql, {}).empty(); }

  void check_integrity() {
    CHECK(connection_->query("PRAGMA integrity_check", {}).at(0).text(0) == "ok");
    CHECK(none("PRAGMA foreign_key_check"));
    store::ArrivalCounter arrivals = 0;
    store::Audit audit(*connection_, Instant{}, arrivals, nullptr);
    CHECK(audit.why_broken().value_or("") == "");
    tally_.audit = static_cast<std::size_t>(audit.head().sequence);
    CHECK(none("SELECT id FROM audit_events WHERE sequence IS NULL"));
    CHECK(none("SELECT issuer, serial FROM issuances GROUP BY issuer, serial HAVING COUNT(*) > 1"));
    CHECK(none("SELECT order_id FROM certificates GROUP BY order_id HAVING COUNT(*) > 1"));
    CHECK(
        none("SELECT id FROM certificates WHERE issuance_id NOT IN "
             "(SELECT id FROM issuances WHERE state = 'issued')"));
    CHECK(none("SELECT id FROM issuances WHERE state = 'in_doubt'"));
    CHECK(none("SELECT id FROM jobs WHERE parked <> 0"));
    // Each finalized order without an outcome has its job.
    CHECK(
        none("SELECT id FROM orders WHERE finalized_at IS NOT NULL AND certificate_id IS NULL "
             "AND error IS NULL AND id NOT IN "
             "(SELECT subject FROM jobs WHERE kind = 'issue_certificate')"));
    CHECK(
        none("SELECT id FROM challenges WHERE status = 'processing' AND id NOT IN "
             "(SELECT subject FROM jobs WHERE kind = 'validate_challenge')"));
  }

  // What was signed, and only that, is what intents say.
  void check_signatures() {
    struct Intent {
      std::string order, state;
    };

    std::map<std::string, Intent> intents;  // by the SHA-256 of the TBS
    std::set<std::string> issued;
    for (const sql::Row& row :
         connection_->query("SELECT request, order_id, state FROM issuances", {})) {
      const std::string hash = crypto::sha256_hex(base64url_decode(row.text(0)).value());
      intents[hash] = {.order = row.text(1), .state = row.text(2)};
      if (row.text(2) == "issued") issued.insert(hash);
    }
    std::set<std::string> hashes;
    std::ifstream lines(record_);
    for (std::string line; std::getline(lines, line);) hashes.insert(line);
    std::map<std::string, int> per_order;
    for (const std::string& hash : hashes) {
      const auto found = intents.find(hash);
      CHECK_MESSAGE(found != intents.end(), "signed, but no intent says so: ", hash);
      if (found == intents.end()) continue;
      ++per_order[found->second.order];
      CHECK_MESSAGE((found->second.state == "issued" || found->second.state == "submitted"),
                    "signed, and the intent is ", found->second.state);
    }
    for (const auto& [order, count] : per_order) {
      CHECK_MESSAGE(count == 1, "order ", order, " had ", count, " certificates signed");
    }
    for (const std::string& hash : issued) CHECK(hashes.contains(hash));
    tally_.signatures = hashes.size();
    tally_.intents = intents.size();
  }

  void check_told(const Acknowledged& told) {
    const auto orders = column("SELECT id FROM orders");
    for (const std::string& order : told.orders) {
      CHECK_MESSAGE(orders.contains(order), "order ", order, " was lost");
    }
    std::map<std::string, std::string> serials;
    for (const sql::Row& row :
         connection_->query("SELECT order_id, serial FROM certificates", {})) {
      serials[row.text(0)] = row.text(1);
    }
    for (const auto& [order, serial] : told.downloaded) {
      CHECK_MESSAGE(serials[order] == serial, "order ", order, " has lost ", serial);
    }
    tally_.certificates = serials.size();
    const auto revoked = column("SELECT serial FROM certificates WHERE revoked_at IS NOT NULL");
    for (const std::string& serial : told.revoked) {
      CHECK_MESSAGE(revoked.contains(serial), "serial ", serial, " is not revoked any more");
    }
    tally_.revoked = revoked.size();
    std::map<std::string, std::string> keys;
    for (const sql::Row& row : connection_->query("SELECT id, key_thumbprint FROM accounts", {})) {
      keys[row.text(0)] = row.text(1);
    }
    for (const auto& [account, key] : told.accounts) {
      CHECK_MESSAGE(keys.contains(account), "account ", account, " was lost");
      CHECK_MESSAGE((key.empty() || keys[account] == key), "account ", account, " lost its key");
    }
    const auto alive = column("SELECT id FROM accounts WHERE status = 'valid'");
    for (const std::string& account : told.deactivated) {
      CHECK_MESSAGE(!alive.contains(account), "account ", account, " is alive");
    }
  }

  // Numbers go up; every revocation is on its CRL, or the job that puts it there waits.
  void check_crls(const Acknowledged& told) {
    std::map<std::string, std::int64_t> numbers;
    tally_.crls = 0;
    for (const sql::Row& row : connection_->query(
             "SELECT details FROM audit_events WHERE kind = 'crl.published' ORDER BY sequence",
             {})) {
      const Json details = parse_json(row.text(0));
      std::int64_t& last = numbers[details.at("url").get<std::string>()];
      CHECK(details.at("number").get<std::int64_t>() > last);
      last = details.at("number").get<std::int64_t>();
      ++tally_.crls;
    }
    std::set<std::string> listed;
    store::Crls crls(*connection_);
    for (const sql::Row& row : connection_->query("SELECT issuer, url FROM crls", {})) {
      const auto record = crls.in_force(IssuerId(row.text(0)), row.text(1)).value();
      CHECK(record.number == numbers[record.url]);
      const crypto::Crl crl = crypto::parse_crl(as_bytes(crls.octets(record))).value();
      for (const crypto::CrlEntry& entry : crl.entries) listed.insert(entry.serial);
    }
    const std::vector<sql::Row> due = connection_->query(
        "SELECT id FROM jobs WHERE kind = 'publish_crl' AND "
        "run_at <= (SELECT MAX(revoked_at) FROM certificates) + 400",
        {});
    for (const std::string& serial : told.revoked) {
      CHECK_MESSAGE((listed.contains(serial) || !due.empty()), "no CRL lists serial ", serial);
    }
  }

  std::string record_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<sql::Connection> connection_;
  Tally tally_;
};

}  // namespace gatehouse::testing
