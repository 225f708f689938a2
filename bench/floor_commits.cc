#include <linux/magic.h>
#include <sqlite3.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/store/sql/migrate.h"
#include "acme-server/store/sql/open.h"
#include "bench/floor.h"
#include "bench/signatures.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kTransactions = 5;  // of a certificate
constexpr std::size_t kWarmUp = 200;      // certificates
constexpr int kCheckpointPages = 4096;    // as StoreOptions
constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::int64_t kLater = kNow + 604'800;

// As the store's driver sets up its writer (store/sql/sqlite.cc).
constexpr const char* kSetUp =
    "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;"
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864";

class Database final {
 public:
  explicit Database(const std::string& path) : handle_(nullptr, sqlite3_close_v2) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(handle);
    require(code == SQLITE_OK);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_QPSG, 1, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 1200, 250);
    require(sqlite3_exec(handle, kSetUp, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_wal_hook(
        handle,
        [](void* self, sqlite3*, const char*, int pages) {
          static_cast<Database*>(self)->log_pages_ = pages;
          return SQLITE_OK;
        },
        this);
  }

  sqlite3* get() const { return handle_.get(); }

  void require(bool good) const {
    if (!good) throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(handle_.get()));
  }

  void checkpoint_when_due() const {
    if (log_pages_ < kCheckpointPages) return;
    require(sqlite3_wal_checkpoint_v2(handle_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                      nullptr) == SQLITE_OK);
  }

 private:
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle_;
  int log_pages_ = 0;
};

std::string random_text(Entropy& entropy, std::size_t length) {
  std::string text;
  while (text.size() < length) text += random_token(entropy);
  return text.substr(0, length);
}

// What differs from certificate to certificate in its rows, by parameter.
constexpr std::array<std::string_view, 18> kOwn{
    ":order", ":authorization", ":http",        ":dns",    ":alpn",   ":validation",
    ":issue", ":issuance",      ":certificate", ":token1", ":token2", ":token3",
    ":lease", ":spki",          ":hash",        ":serial", ":name",   ":csr"};
constexpr std::size_t kIds = 9;     // the first of them
constexpr std::size_t kTokens = 4;  // then
using Own = std::array<std::string, kOwn.size()>;

// Of the lengths and in the order of a real one's.
Own texts_of(Entropy& entropy, std::size_t number) {
  const Instant at = from_unix(kNow) + std::chrono::seconds(number / 100);
  Own own;
  for (std::size_t i = 0; i < kIds; ++i) own[i] = random_row_id(entropy, at);
  for (std::size_t i = kIds; i < kIds + kTokens; ++i) own[i] = random_token(entropy);
  std::size_t next = kIds + kTokens;
  for (const std::size_t length : {64UL, 64UL, 36UL}) own[next++] = random_text(entropy, length);
  own[next++] = "c1-" + std::to_string(number) + ".r1a2b3c.bench.test";
  own[next] = random_text(entropy, 308);
  return own;
}

// An audit event: the columns from order_id to certificate_id, and the length of its details.
std::string audit(const std::string& kind, const std::string& subjects, std::size_t details) {
  return "INSERT INTO audit_events VALUES (:event, :event, :now, '" + kind +
         "', :actor, 'default', :account, " + subjects + ", '" + std::string(details, 'd') +
         "', :hash)";
}

// The statements of the store, shortened: what is the same in each row is in their text.
std::string challenge(const std::string& id, const std::string& number, const std::string& type) {
  return "INSERT INTO challenges VALUES (" + id + ", :authorization, " + number + ", '" + type +
         "', :token" + number + ", 'pending', NULL, NULL, 0, NULL)";
}

std::string job(const std::string& id, const std::string& kind, const std::string& subject) {
  return "INSERT INTO jobs VALUES (" + id + ", '" + kind + "', " + subject +
         ", 1, :now, 0, :lease, '', 0) ON CONFLICT (kind, subject) DO NOTHING";
}

std::array<std::vector<std::string>, kTransactions> statements() {
  return {{
      {"INSERT INTO authorizations VALUES (:authorization, 'default', :account, 'dns', :name, 0, "
       "'default', 'pending', :later, :now, NULL)",
       challenge(":http", "1", "http-01"), challenge(":dns", "2", "dns-01"),
       challenge(":alpn", "3", "tls-alpn-01"),
       "INSERT INTO orders VALUES (:order, 'default', :account, 'default', NULL, NULL, :now, "
       ":later, NULL, NULL, NULL, NULL, NULL)",
       "INSERT INTO order_identifiers VALUES (:order, 0, 'dns', :name)",
       "INSERT INTO order_authorizations VALUES (:order, 0, :authorization)",
       audit("order.created", ":order, NULL, NULL", 138)},
      {"UPDATE challenges SET status = 'processing', attempts = 0 WHERE id = :http "
       "AND status = 'pending'",
       job(":validation", "validate", ":http"),
       audit("authorization.challenge_ready", "NULL, :authorization, NULL", 105)},
      {"UPDATE authorizations SET status = 'valid', expires_at = :later, caa_checked_at = :now "
       "WHERE id = :authorization AND status = 'pending'",
       "UPDATE challenges SET status = 'valid', validated_at = :now, attempts = 1 WHERE id = :http "
       "AND status = 'processing'",
       "DELETE FROM jobs WHERE id = :validation AND lease_token = :lease AND generation = 1",
       audit("caa.checked", "NULL, :authorization, NULL", 150),
       audit("authorization.valid", "NULL, :authorization, NULL", 146)},
      {"UPDATE orders SET csr = :csr, finalized_at = :now WHERE id = :order "
       "AND account_id = :account AND finalized_at IS NULL AND certificate_id IS NULL "
       "AND error IS NULL",
       "INSERT INTO issuances VALUES (:issuance, :order, 'local', :issuer, :serial, 'default', "
       ":issuer, :issuer, :spki, :request, '', :crl, :now, :later, :now, 'submitted')",
       job(":issue", "issue", ":order"), audit("order.finalized", ":order, NULL, NULL", 2),
       audit("certificate.intent", ":order, NULL, NULL", 557),
       audit("certificate.submitted", ":order, NULL, NULL", 93)},
      {"INSERT INTO certificates VALUES (:certificate, 'default', :account, :order, :issuance, "
       "'local', :issuer, :serial, :spki, :now, :later, :crl, :chain, :now, NULL, NULL)",
       "INSERT INTO certificate_identifiers VALUES (:certificate, 0, 'dns', :name)",
       "UPDATE orders SET certificate_id = :certificate WHERE id = :order "
       "AND finalized_at IS NOT NULL AND certificate_id IS NULL AND error IS NULL",
       "UPDATE issuances SET state = 'issued' WHERE id = :issuance AND state = 'submitted'",
       "DELETE FROM jobs WHERE id = :issue AND lease_token = :lease AND generation = 1",
       audit("certificate.issued", ":order, NULL, :certificate", 370),
       audit("order.valid", ":order, NULL, :certificate", 2)},
  }};
}

using Common = std::map<std::string_view, std::string>;

// A prepared statement of one row. What is the same for all certificates is bound once.
class Statement final {
 public:
  Statement(const Database& database, const std::string& sql, const Common& common)
      : database_(database), handle_(nullptr, sqlite3_finalize) {
    sqlite3_stmt* handle = nullptr;
    database.require(sqlite3_prepare_v3(database.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                        &handle, nullptr) == SQLITE_OK);
    handle_.reset(handle);
    for (int at = 1; at <= sqlite3_bind_parameter_count(handle); ++at) {
      const std::string_view name = sqlite3_bind_parameter_name(handle, at);
      const auto* const own = std::ranges::find(kOwn, name);
      if (own != kOwn.end()) {
        own_.emplace_back(at, own - kOwn.begin());
      } else if (name == ":event") {
        event_ = at;
      } else if (name == ":now" || name == ":later") {
        sqlite3_bind_int64(handle, at, name == ":now" ? kNow : kLater);
      } else {
        bind(at, common.at(name));
      }
    }
  }

  void run(const Own& own, std::int64_t& events) {
    for (const auto& [at, which] : own_) bind(at, own[which]);
    if (event_ != 0) sqlite3_bind_int64(handle_.get(), event_, ++events);
    run();
    database_.require(sqlite3_changes(database_.get()) == 1);
  }

  void run() {
    database_.require(sqlite3_step(handle_.get()) == SQLITE_DONE);
    sqlite3_reset(handle_.get());
  }

 private:
  void bind(int at, const std::string& text) {
    sqlite3_bind_text(handle_.get(), at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }

  const Database& database_;
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> handle_;
  std::vector<std::pair<int, std::size_t>> own_;
  int event_ = 0;
};

// A new folder on a disk, removed with this object.
class Folder final {
 public:
  explicit Folder(const std::string& in) {
    struct statfs disk{};
    if (statfs(in.c_str(), &disk) != 0) throw std::runtime_error("no folder " + in);
    if (disk.f_type == TMPFS_MAGIC || disk.f_type == RAMFS_MAGIC) {
      throw std::runtime_error(in +
                               " is in memory: give --folder on a disk, what is measured is "
                               "durable");
    }
    path = in + "/gatehouse-floor-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make a folder in " + in);
  }

  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }

  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path;
};

}  // namespace

double commits(const std::string& folder, std::size_t commits, std::size_t certificates) {
  const Folder own(folder);
  const std::string path = own.path + "/gatehouse.db";
  sql::migrate(*sql::open({.database = path})->connect_writer(), sql::embedded_migrations());
  const Database database(path);
  OsEntropy entropy;
  const std::string account = random_row_id(entropy, from_unix(kNow));
  const Common common{{":account", account},
                      {":actor", "account:" + account},
                      {":issuer", random_text(entropy, 64)},
                      {":crl", "http://localhost/crl/" + random_text(entropy, 64) + "/0.crl"},
                      {":request", random_text(entropy, 762)},
                      {":chain", random_text(entropy, 1555)}};
  Statement(database,
            "INSERT INTO accounts VALUES (:account, 'default', 'thumbprint', 'key', 'hash', "
            "'valid', '', :now)",
            common)
      .run();
  Statement begin(database, "BEGIN IMMEDIATE", common);
  Statement commit(database, "COMMIT", common);
  const auto sqls = statements();
  std::array<std::vector<Statement>, kTransactions> transactions;
  for (std::size_t i = 0; i < kTransactions; ++i) {
    for (const std::string& sql : sqls[i]) {
      transactions[i].emplace_back(database, sql, common);
    }
  }
  std::vector<Own> texts;
  texts.reserve(kWarmUp + certificates);
  for (std::size_t i = 0; i < kWarmUp + certificates; ++i) texts.push_back(texts_of(entropy, i));

  // Certificates stand at different transactions, as those of different clients do, so that a group
  // has those of several.
  double before = 0;
  std::int64_t events = 0;
  std::size_t written = 0;
  for (std::size_t step = 0; step < texts.size() + kTransactions - 1; ++step) {
    if (step == kWarmUp) before = cpu_milliseconds();
    for (std::size_t i = 0; i < kTransactions; ++i) {
      if (step < i || step - i >= texts.size()) continue;
      if (sqlite3_get_autocommit(database.get()) != 0) begin.run();
      for (Statement& statement : transactions[i]) statement.run(texts[step - i], events);
      const std::size_t group = written * commits / kTransactions;
      if (++written * commits / kTransactions == group) continue;
      commit.run();
      database.checkpoint_when_due();
    }
  }
  return (cpu_milliseconds() - before) / static_cast<double>(certificates);
}

}  // namespace gatehouse::bench
