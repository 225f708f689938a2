// A real server to be killed: Host on SQLite on disk, its CA's key behind a recorder, names proven
// by script. Prints its port when it serves, and stops in order when its standard input ends.
//
//   restart_server FOLDER RECORD [POINT PASS]
//   restart_server command POINT PASS ARGUMENTS…
//   restart_server signer ARGUMENTS…
//
// FOLDER is as ServerFolder leaves it. With POINT it kills itself at the PASS-th pass of that crash
// point. The second form is `gatehouse ARGUMENTS…`, dying likewise; the third is what the server
// starts for a signer: what is in FOLDER/kill-signer, "POINT PASS", is where it dies, once: " dead"
// is added then.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/server/host.h"
#include "acme-server/base/crash_point.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/recording_signer.h"
#include "tests/support/scripted_validator.h"

namespace gatehouse::testing {
namespace {

// So that checkpoints come often.
constexpr std::size_t kCheckpointPages = 200;

// Where this process dies. Written before it has a second thread.
struct Crash {
  std::string point;
  std::atomic<int> passes_left = 0;
  int order = -1;  // the file that said so, open: in its sandbox a signer opens none
} crash;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): on_crash_point() has no
          // other way to it

// Records certificates and not CRLs, which are made as often as one likes.
class RecordCertificates final : public crypto::Signer {
 public:
  RecordCertificates(std::unique_ptr<crypto::Signer> signer, const std::string& file)
      : plain_(*signer), recording_(std::move(signer), file) {}

  Bytes public_key() const override { return recording_.public_key(); }

  Bytes algorithm() const override { return recording_.algorithm(); }

  Bytes sign(ByteView message) override {
    return is_certificate(message) ? recording_.sign(message) : plain_.sign(message);
  }

 private:
  // A TBSCertificate begins with its version as [0], a TBSCertList with a plain INTEGER (RFC 5280
  // sections 4.1 and 5.1).
  static bool is_certificate(ByteView tbs) {
    if (tbs.size() < 2) return true;
    const std::size_t head = tbs[1] < 0x80 ? 2U : 2U + (tbs[1] & 0x7fU);
    return tbs.size() <= head || tbs[head] == 0xa0;
  }

  crypto::Signer& plain_;
  RecordingSigner recording_;
};

int run(const std::string& folder, const std::string& record) {
  config::Config config = config::load_config(folder + "/gatehouse.json", {});
  config.threads = {.http = 1, .requests = 8, .request_queue = 256, .validation = 4, .issuance = 4};
  config.store.checkpoint_pages = kCheckpointPages;
  for (auto* kind : {&config.acme, &config.public_files, &config.operations}) {
    for (config::ListenerConfig& listener : *kind) {
      listener.listener.address = http::TcpAddress{.address = "127.0.0.1", .port = 0};
    }
  }
  Log log({.format = Log::Format::json, .level = LogLevel::error, .sink = {}});
  FakeResolver resolver;  // of a world without CAA records
  std::vector<config::Config> configs;
  configs.push_back(std::move(config));
  app::Host host(std::move(configs), log,
                 {.adjust = [&](std::size_t, const app::Environment& base) {
                   app::Decorators decorate;
                   decorate.signer = [&](std::unique_ptr<crypto::Signer> signer) {
                     return std::unique_ptr<crypto::Signer>(
                         std::make_unique<RecordCertificates>(std::move(signer), record));
                   };
                   decorate.validator = [](std::unique_ptr<validators::Validator> real) {
                     return std::unique_ptr<validators::Validator>(
                         std::make_unique<ScriptedValidator>(std::string(real->challenge_type())));
                   };
                   return app::Environment{.clock = base.clock,
                                           .job_clock = base.job_clock,
                                           .uptime = base.uptime,
                                           .entropy = base.entropy,
                                           .resolver = resolver,
                                           .dialer = base.dialer,
                                           .log = base.log,
                                           .metrics = base.metrics,
                                           .executors = base.executors,
                                           .decorate = decorate};
                 }});
  host.start();
  for (const http::ListenerAddress& bound : host.addresses()) {
    if (bound.listener == "acme.0") std::printf("%d\n", int{bound.port});
  }
  std::fflush(stdout);
  char end = 0;
  while (::read(STDIN_FILENO, &end, 1) > 0) {
  }
  return host.stop() ? 0 : 1;
}

// A file says where it dies, until one is dead.
void arm_signer(const std::string& config) {
  const std::string file = config.substr(0, config.rfind('/')) + "/kill-signer";
  std::ifstream in(file);
  std::string point;
  std::string dead;
  int pass = 0;
  if (!(in >> point >> pass) || in >> dead) return;
  crash.point = point;
  crash.passes_left = pass;
  crash.order = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
}

}  // namespace
}  // namespace gatehouse::testing

// The thread that comes here goes no further, and no other gets far: the signal ends all of them.
void gatehouse::on_crash_point(std::string_view name) noexcept {
  if (name != testing::crash.point || testing::crash.passes_left.fetch_sub(1) != 1) return;
  if (testing::crash.order >= 0 && ::write(testing::crash.order, " dead", 5) != 5) std::abort();
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

int main(int argc, char** argv) {
  const std::string_view form = argc > 1 ? argv[1] : "";
  if (form == "command" && argc > 4) {
    gatehouse::testing::crash.point = argv[2];
    gatehouse::testing::crash.passes_left = std::stoi(argv[3]);
    return gatehouse::app::run_command_line(argc - 3, argv + 3);
  }
  if (form == "signer") {
    for (int i = 2; i + 1 < argc; ++i) {
      if (std::string_view(argv[i]) == "--config") gatehouse::testing::arm_signer(argv[i + 1]);
    }
    return gatehouse::app::run_command_line(argc, argv);
  }
  if (argc != 3 && argc != 5) {
    std::fputs("usage: restart_server FOLDER RECORD [POINT PASS]\n", stderr);
    return 2;
  }
  try {
    if (argc == 5) {
      gatehouse::testing::crash.point = argv[3];
      gatehouse::testing::crash.passes_left = std::stoi(argv[4]);
    }
    return gatehouse::testing::run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "restart_server: %s\n", error.what());
    return 2;
  }
}
