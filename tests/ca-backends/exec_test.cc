#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/exec/exec_backend.h"
#include "ca-backends/exec/exec_options.h"
#include "ca-backends/exec/exec_program.h"
#include "ca-backends/registry.h"
#include "tests/support/backend_options.h"
#include "tests/support/manual_clock.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::backends {
namespace {

// A program, written as a shell script by each test, and what it is run with.
struct Program {
  explicit Program(const std::string& script, Json more = Json::object()) : more_(std::move(more)) {
    write(script);
  }

  void write(const std::string& script, mode_t mode = 0755) const {
    write_file(path(), "#!/bin/sh\n" + script, FileAccess::owner_only, ExistingFile::replace);
    ::chmod(path().c_str(), mode);
  }

  std::string path() const { return folder.path() + "/program"; }

  BackendContext context() {
    return {.clock = clock,
            .entropy = entropy,
            .log = log,
            .public_url = "http://pki.test",
            .read_file = [](const std::string& file) { return read_file(file); },
            .read_key_file = [](const std::string& file) { return read_file(file); },
            .resolve_secret =
                [](const std::string& reference) {
                  if (reference == "file:missing") throw std::runtime_error("missing: not there");
                  return Secret("resolved " + reference);
                },
            .decorate_signer = [](auto signer) { return signer; }};
  }

  ExecOptions options() const {
    Json json = {{"type", "exec"}, {"program", {path(), "one two", "$HOME"}}, {"anchors", {"-"}}};
    json.update(more_);
    return read_exec_options(JsonObject(json, "backends.corp"));
  }

  ExecReply run(const std::string& input = "", const ExecProgram::Facts& facts = {}) {
    return ExecProgram("corp", options(), context())
        .run(facts, input, Deadline::in(std::chrono::seconds(10)));
  }

  testing::TemporaryFolder folder;
  testing::ManualClock clock;
  testing::SeededEntropy entropy{1};
  Log log;

 private:
  Json more_;
};

}  // namespace

TEST_CASE("wrong options of an exec backend are refused with the option's path") {
  const Json good = {{"type", "exec"}, {"program", {"/bin/true"}}, {"anchors", {"root.pem"}}};
  testing::check_wrong_options(
      good, {
                {{{"program", nullptr}}, "backends.corp.program"},
                {{{"program", Json::array()}}, "backends.corp.program"},
                {{{"program", {"issue"}}}, "absolute path"},
                {{{"program", "/bin/true"}}, "backends.corp.program"},
                {{{"anchors", nullptr}}, "backends.corp.anchors"},
                {{{"anchors", {""}}}, "backends.corp.anchors"},
                {{{"time_out", "5s"}}, "backends.corp.time_out"},
                {{{"timeout", "soon"}}, "backends.corp.timeout"},
                {{{"timeout", "1d"}}, "out of range"},
                {{{"memory_mib", 1}}, "backends.corp.memory_mib"},
                {{{"at_once", 0}}, "backends.corp.at_once"},
                {{{"environment", {{"A=B", "x"}}}}, "backends.corp.environment"},
                {{{"environment", {{"GATEHOUSE_ORDER", "x"}}}}, "are ours"},
                {{{"secrets", {{"PIN", "hunter2"}}}}, "backends.corp.secrets.PIN"},
                {{{"key_usages", {{"needed", {"x"}}}}}, "backends.corp.key_usages.needed"},
                {{{"pending_limit", "1s"}}, "backends.corp.pending_limit"},
            });
}

TEST_CASE("a program that is missing or cannot be run is refused at start, by name") {
  Program program("exit 0");
  const auto why = [&] {
    try {
      ExecProgram("corp", program.options(), program.context());
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(why() == "");
  program.write("exit 0", 0644);
  CHECK(why().find("backends.corp.program: " + program.path() + " cannot be run") == 0);
  std::filesystem::remove(program.path());
  CHECK(why().find(program.path() + " does not exist") != std::string::npos);

  Program with_user("exit 0", {{"user", "nobody-of-this-name"}});
  CHECK_THROWS_WITH(ExecProgram("corp", with_user.options(), with_user.context()),
                    "backends.corp.user: there is no user \"nobody-of-this-name\"");
}

TEST_CASE("the exit code says what became of the request") {
  const ExecReply done = Program("echo answer; echo note >&2").run();
  REQUIRE(std::holds_alternative<ExecDone>(done));
  CHECK(std::get<ExecDone>(done).output == "answer\n");
  CHECK(std::get<ExecDone>(done).said == "note");

  const ExecReply refused = Program("echo '  no such zone '; echo policy >&2; exit 10").run();
  REQUIRE(std::holds_alternative<ExecRefused>(refused));
  CHECK(std::get<ExecRefused>(refused).reason == "no such zone");
  CHECK(std::get<ExecRefused>(refused).said == "policy");

  const ExecReply pending = Program("echo 'token:  7 8 '; echo Retry-After: 90; exit 11").run();
  REQUIRE(std::holds_alternative<ExecPending>(pending));
  CHECK(std::get<ExecPending>(pending).token == "7 8");
  CHECK(std::get<ExecPending>(pending).retry_after == std::chrono::seconds(90));

  const ExecReply later = Program("echo Retry-After: 5; echo down >&2; exit 12").run();
  REQUIRE(std::holds_alternative<ExecNotSent>(later));
  CHECK(std::get<ExecNotSent>(later).why.find("down") != std::string::npos);
  CHECK(std::get<ExecNotSent>(later).retry_after == std::chrono::seconds(5));
}

TEST_CASE("any other end of the program leaves open whether the CA has issued") {
  struct Row {
    std::string script, says;
  };

  const Row rows[] = {
      {"echo broken >&2; exit 1", "exit code 1; it said: broken"},
      {"exit 9", "exit code 9"},
      {"exit 13", "exit code 13"},
      {"exit 127", "exit code 127"},
      {"kill -9 $$", "signal 9"},
      {"exec sleep 60", "longer than 300ms"},
      {"yes", "more than 1 MiB"},
      {"yes >&2", "more than 1 MiB"},
      {"head -c 5000 /dev/zero | tr '\\0' t | sed 's/^/token: /'; exit 11", "4096 octets"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.script);
    const ExecReply reply =
        Program(row.script, {{"timeout", row.script == "exec sleep 60" ? "300ms" : "9s"}}).run();
    REQUIRE(std::holds_alternative<ExecLost>(reply));
    const std::string& why = std::get<ExecLost>(reply).why;
    CHECK_MESSAGE(why.find(row.says) != std::string::npos, why);
  }
}

TEST_CASE("a program that could not be started has certainly sent nothing") {
  Program program("exit 0");
  ExecProgram held("corp", program.options(), program.context());
  std::filesystem::remove(program.path());
  CHECK(
      std::holds_alternative<ExecNotSent>(held.run({}, "", Deadline::in(std::chrono::seconds(5)))));

  const ExecReply no_secret = Program("exit 0", {{"secrets", {{"PIN", "file:missing"}}}}).run();
  REQUIRE(std::holds_alternative<ExecNotSent>(no_secret));
  CHECK(std::get<ExecNotSent>(no_secret).why == "missing: not there");
}

TEST_CASE("a program gets its arguments as they are, the facts, and nothing of our environment") {
  ::setenv("OF_THE_SERVER", "secret", 1);
  Program program("cat; printf '%s|' \"$@\"; env | sort",
                  {{"environment", {{"TEMPLATE", "a b;c"}}}, {"secrets", {{"PIN", "env:X"}}}});
  const ExecReply reply = program.run("the CSR\n", {{"ORDER", "o 1"}, {"DNS_NAMES", "a.test"}});
  REQUIRE(std::holds_alternative<ExecDone>(reply));
  const std::string& output = std::get<ExecDone>(reply).output;
  CHECK(output.starts_with("the CSR\none two|$HOME|"));
  CHECK(output.find("GATEHOUSE_DNS_NAMES=a.test\nGATEHOUSE_ORDER=o 1\n") != std::string::npos);
  CHECK(output.find("TEMPLATE=a b;c\n") != std::string::npos);
  CHECK(output.find("PIN=resolved env:X\n") != std::string::npos);
  CHECK(output.find("OF_THE_SERVER") == std::string::npos);
}

TEST_CASE("what a program leaves running ends with it") {
  for (const std::string end : {"exit 0", "exec sleep 60"}) {
    CAPTURE(end);
    const testing::TemporaryFolder folder;
    const std::string held = folder.path() + "/held";
    REQUIRE(::mkfifo(held.c_str(), 0600) == 0);
    const int reader = ::open(held.c_str(), O_RDONLY | O_NONBLOCK);
    REQUIRE(reader >= 0);
    Program("exec 3> \"$HELD\"; echo x >&3; sleep 60 & " + end,
            {{"timeout", "1500ms"}, {"environment", {{"HELD", held}}}})
        .run();
    char written[2] = {};
    CHECK(::read(reader, written, sizeof written) == 2);
    // Its end comes when nobody holds the other one.
    pollfd polled{.fd = reader, .events = POLLIN, .revents = 0};
    CHECK(::poll(&polled, 1, 10'000) == 1);
    ::close(reader);
  }
}

TEST_CASE("a program has no more memory than it is allowed") {
  const std::string script = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}";
  const ExecReply reply = Program(script, {{"memory_mib", 32}}).run();
  const auto* done = std::get_if<ExecDone>(&reply);
  CHECK((done == nullptr || done->output != "100000000\n"));
}

TEST_CASE("no more programs run at once than allowed, and who finds no place has sent nothing") {
  const testing::TemporaryFolder folder;
  const std::string started = folder.path() + "/started";
  const std::string go = folder.path() + "/go";
  for (const std::string& pipe : {started, go}) REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  Program program("echo > \"$STARTED\"; read line < \"$GO\"",
                  {{"at_once", 1}, {"environment", {{"STARTED", started}, {"GO", go}}}});
  ExecProgram shared("corp", program.options(), program.context());
  std::optional<ExecReply> first;
  {
    const std::jthread one(
        [&] { first = shared.run({}, "", Deadline::in(std::chrono::seconds(30))); });
    std::string line;
    std::getline(std::ifstream(started) >> std::ws, line);  // until it runs
    const ExecReply second = shared.run({}, "", Deadline::in(std::chrono::milliseconds(40)));
    REQUIRE(std::holds_alternative<ExecNotSent>(second));
    CHECK(std::get<ExecNotSent>(second).why.find("1 times already") != std::string::npos);
    std::ofstream(go) << "go\n";
  }
  CHECK(std::holds_alternative<ExecDone>(*first));
}

TEST_CASE("a program runs as its user, in none of our groups") {
  if (::geteuid() != 0) return;  // nobody else may change users
  Program program("id -u; id -G", {{"user", "nobody"}});
  ::chmod(program.folder.path().c_str(), 0755);
  const ExecReply reply = program.run();
  REQUIRE(std::holds_alternative<ExecDone>(reply));
  CHECK(std::get<ExecDone>(reply).output == "65534\n65534\n");
}

}  // namespace gatehouse::backends
