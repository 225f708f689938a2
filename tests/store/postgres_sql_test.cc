// Every SQL text of the store, as PostgreSQL sees it: the migrations are applied, each text is
// prepared, and the types it wants are those that the run on SQLite bound.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/store/sql/migrate.h"
#include "tests/store/contract.h"
#include "tests/support/paths.h"
#include "tests/support/recording_database.h"

namespace gatehouse::testing {
namespace {

// The folder of the server that Debian has: "/usr/lib/postgresql/15/bin/".
std::string programs() {
  const std::filesystem::directory_iterator versions("/usr/lib/postgresql");
  REQUIRE(versions != std::filesystem::directory_iterator());
  return versions->path().string() + "/bin/";
}

// Runs a program and waits; as the user that Debian's package made when we are root, whom
// PostgreSQL refuses.
pid_t start(std::vector<std::string> command, const std::string& log) {
  if (::geteuid() == 0) {
    const std::vector<std::string> as_user = {"/usr/bin/setpriv", "--reuid=postgres",
                                              "--regid=postgres", "--clear-groups", "--"};
    command.insert(command.begin(), as_user.begin(), as_user.end());
  }
  std::vector<char*> arguments;
  for (std::string& argument : command) {
    arguments.push_back(argument.data());
  }
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (out < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(out, STDERR_FILENO) < 0) {
      ::_exit(126);
    }
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  return child;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct CloseConnection {
  void operator()(PGconn* connection) const noexcept { ::PQfinish(connection); }
};

struct ClearResult {
  void operator()(PGresult* result) const noexcept { ::PQclear(result); }
};

using ConnectionHandle = std::unique_ptr<PGconn, CloseConnection>;
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

// A server of its own in a temporary folder, reached by a Unix socket there and nothing else.
class PostgresServer final {
 public:
  PostgresServer() {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
    const std::string data = folder_.path() + "/data";
    int status = 1;
    const pid_t init = start({programs() + "initdb", "--pgdata=" + data, "--auth=trust",
                              "--username=gatehouse", "--locale=C", "--encoding=UTF8", "--no-sync"},
                             log_);
    REQUIRE(::waitpid(init, &status, 0) == init);
    REQUIRE_MESSAGE(status == 0, file_text(log_));
    server_ = start({programs() + "postgres", "-D", data, "-k", folder_.path(), "-c",
                     "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=4"},
                    log_);
    REQUIRE(server_ > 0);
  }

  ~PostgresServer() {
    if (server_ > 0) {
      ::kill(server_, SIGINT);  // fast shutdown
      ::waitpid(server_, nullptr, 0);
    }
  }

  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Waits until it answers.
  ConnectionHandle connect() {
    const std::string where =
        "host=" + folder_.path() + " user=gatehouse dbname=postgres client_encoding=UTF8";
    while (true) {
      ConnectionHandle connection(::PQconnectdb(where.c_str()));
      if (::PQstatus(connection.get()) == CONNECTION_OK) {
        return connection;
      }
      REQUIRE_MESSAGE(::waitpid(server_, nullptr, WNOHANG) == 0, file_text(log_));
      ::usleep(20'000);
    }
  }

 private:
  TemporaryFolder folder_;
  std::string log_ = folder_.path() + "/log";
  pid_t server_ = -1;
};

ResultHandle run(PGconn* connection, const std::string& sql) {
  return ResultHandle(::PQexec(connection, sql.c_str()));
}

// What PostgreSQL says of a prepared statement's parameters: "{text,bigint}".
std::vector<std::string> parameter_types(PGconn* connection, const std::string& name) {
  const ResultHandle result = run(connection,
                                  "SELECT unnest(parameter_types)::text FROM "
                                  "pg_prepared_statements WHERE name = '" +
                                      name + "'");
  std::vector<std::string> types;
  for (int row = 0; row < ::PQntuples(result.get()); ++row) {
    types.emplace_back(::PQgetvalue(result.get(), row, 0));
  }
  return types;
}

// Every contract case, on SQLite, recorded.
std::map<std::string, StatementRecord::Types> recorded_statements() {
  StatementRecord record;
  for (const ContractCase& each : all_contract_cases()) {
    TestStore store([&](std::unique_ptr<sql::Database> inner) {
      return std::make_unique<RecordingDatabase>(std::move(inner), record);
    });
    each.run(store);
  }
  return record.statements();
}

// String literals of a source file, neighbours joined as the compiler joins them.
std::vector<std::string> literals_of(const std::string& source) {
  std::vector<std::string> literals;
  bool joined = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source.compare(i, 2, "//") == 0) {
      i = source.find('\n', i);
    } else if (source.compare(i, 3, "'\"'") == 0) {
      i += 2;  // a quote as a character
      joined = false;
    } else if (source[i] == '"') {
      std::string text;
      for (++i; source[i] != '"'; ++i) {
        if (source[i] == '\\') {
          ++i;
        }
        text += source[i];
      }
      if (joined) {
        literals.back() += text;
      } else {
        literals.push_back(text);
      }
      joined = true;
    } else if (std::isspace(static_cast<unsigned char>(source[i])) == 0) {
      joined = false;
    }
  }
  return literals;
}

bool is_statement(const std::string& text) {
  return text.starts_with("SELECT ") || text.starts_with("INSERT INTO ") ||
         text.starts_with("UPDATE ") || text.starts_with("DELETE FROM ");
}

}  // namespace

TEST_CASE("the contract cases run every statement of the store") {
  const auto statements = recorded_statements();
  std::size_t found = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(source_directory() + "/acme-server/store")) {
    // What copies SQLite's files, and what reads one that is restored, speak to SQLite alone.
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".cc" || name == "sqlite_backup.cc" ||
        name == "offline_database.cc") {
      continue;
    }
    for (const std::string& literal : literals_of(file_text(entry.path().string()))) {
      if (!is_statement(literal)) {
        continue;
      }
      ++found;
      CAPTURE(literal);
      // One of them goes on with what the driver adds.
      const auto at = statements.lower_bound(literal);
      CHECK((at != statements.end() && at->first.starts_with(literal)));
      // Columns are listed: a column that is added must not shift those behind it.
      CHECK(literal.find('*') == literal.find("*) FROM"));
    }
  }
  CHECK(found > 60);
}

// A table that is read from end to end grows slower with every certificate.
TEST_CASE("no statement reads a whole table") {
  TemporaryFolder folder;
  const std::unique_ptr<sql::Database> database = sql::open(test_store_options(folder));
  const std::unique_ptr<sql::Connection> writer = database->connect_writer();
  sql::migrate(*writer, sql::embedded_migrations());
  for (const auto& [sql, bound] : recorded_statements()) {
    CAPTURE(sql);
    const std::vector<sql::Value> nothing(bound.size(), sql::null());
    for (const sql::Row& step : writer->query("EXPLAIN QUERY PLAN " + sql, nothing)) {
      const std::string& detail = step.text(3);
      CAPTURE(detail);
      CHECK((!detail.starts_with("SCAN ") || detail.find(" USING ") != std::string::npos ||
             detail == "SCAN CONSTANT ROW"));
      CHECK(detail.find("AUTOMATIC") == std::string::npos);
    }
  }
}

TEST_CASE("PostgreSQL takes the migrations and every statement, with the types that are bound") {
  PostgresServer server;
  const ConnectionHandle connection = server.connect();
  PGconn* const pg = connection.get();
  run(pg,
      "CREATE TABLE schema_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)");
  for (const sql::Migration& migration : sql::embedded_migrations()) {
    const ResultHandle result = run(pg, std::string(migration.sql));
    REQUIRE_MESSAGE(::PQresultStatus(result.get()) == PGRES_COMMAND_OK, ::PQerrorMessage(pg));
  }
  const ResultHandle columns =
      run(pg,
          "SELECT COUNT(*) FROM information_schema.columns WHERE "
          "table_schema = 'public' AND data_type NOT IN ('text', 'bigint')");
  CHECK(std::string(::PQgetvalue(columns.get(), 0, 0)) == "0");

  int number = 0;
  for (const auto& [sql, bound] : recorded_statements()) {
    CAPTURE(sql);
    const std::string name = "s" + std::to_string(number++);
    const ResultHandle result(::PQprepare(pg, name.c_str(), sql.c_str(), 0, nullptr));
    const bool prepared = ::PQresultStatus(result.get()) == PGRES_COMMAND_OK;
    CHECK_MESSAGE(prepared, ::PQerrorMessage(pg));
    if (!prepared) {
      continue;
    }
    const std::vector<std::string> wanted = parameter_types(pg, name);
    REQUIRE(wanted.size() == bound.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CAPTURE(i + 1);
      CHECK((wanted[i] == "text" || wanted[i] == "bigint"));
      for (const std::string& type : bound[i]) {
        CHECK(type == wanted[i]);
      }
    }
  }
  CHECK(number > 60);
}

}  // namespace gatehouse::testing
