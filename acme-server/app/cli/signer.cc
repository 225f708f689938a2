// `gatehouse signer`: the issuing keys in a process of their own.
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/config_file.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/app/server/environment.h"
#include "acme-server/app/signer/signer_process.h"
#include "acme-server/app/signer/signer_sandbox.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/net/unix_stream.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/local_ca/signers.h"
#include "ca-backends/registry.h"
#include "ca-backends/signer/signer_service.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

constexpr const char* kFooter =
    "DESCRIPTION\n"
    "  Reads the keys of one local backend, its issuer's and those of \"previous\", and signs "
    "with\n"
    "  them what a server asks for over a unix socket (mode 0600, this process's own user alone):\n"
    "  leaves and CRLs of these issuers, which it looks at itself. It has no network, opens no\n"
    "  file, starts no program and leaves no core file.\n"
    "\n"
    "  The server's config says where it is: backends.NAME.signer.socket. Either may be started\n"
    "  first, and either be started again while the other runs. With backends.NAME.signer.spawn "
    "the\n"
    "  server starts this by itself.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse signer --config /etc/gatehouse/gatehouse.json --backend local";

// A server holds on to a few connections; more than this is not a server.
constexpr std::size_t kMaxConnections = 64;

struct Arguments {
  std::string config;
  std::vector<std::string> settings;
  std::string backend = "local";
  int parent = 0;
};

// Whom the signer answers. Throws std::runtime_error when there is no such user.
std::vector<std::uint32_t> users_of(const backends::SignerOptions& options,
                                    const std::string& backend) {
  std::vector<std::uint32_t> users = {::geteuid()};
  if (options.server_user.empty()) return users;
  const passwd* entry = ::getpwnam(options.server_user.c_str());  // no thread runs yet
  if (entry == nullptr) {
    throw std::runtime_error("backends." + backend +
                             ".signer.server_user: this machine has no user \"" +
                             options.server_user + "\"");
  }
  users.push_back(entry->pw_uid);
  return users;
}

void serve(const net::UnixListener& listener, const backends::SignerService& service,
           const std::vector<std::uint32_t>& users, Log& log) {
  std::atomic<std::size_t> connections{0};
  for (;;) {
    net::UnixStream stream = listener.accept();
    const std::uint32_t uid = stream.peer_uid();
    if (std::ranges::find(users, uid) == users.end() || connections >= kMaxConnections) {
      log.warning("signer.refused", {{"uid", uid}, {"connections", connections.load()}});
      continue;
    }
    ++connections;
    std::thread([&service, &connections, &log, stream = std::move(stream)] {
      try {
        service.serve(stream);
      } catch (const net::UnixStreamError&) {
        // Its client is gone, or does not keep to the protocol: the connection ends.
      } catch (const std::exception& error) {
        log.error("signer.failed", {{"why", error.what()}});
      }
      --connections;
    }).detach();
  }
}

int run(const Arguments& arguments) {
  die_with_parent(arguments.parent);
  config::Config config = config::load_config(config_file(arguments.config), arguments.settings);
  Log log({.format = config.log.format, .level = config.log.level, .sink = {}});
  const JsonObject all(config.backends, "backends");
  const auto options = backends::read_local_ca_options(all.object(arguments.backend));
  if (!options.signer) {
    throw std::runtime_error("backends." + arguments.backend +
                             ".signer is not set: the server signs with the key itself");
  }
  SystemClock clock;
  OsEntropy entropy;
  const backends::BackendContext context = key_context(config, clock, entropy, log);
  const std::string socket = backends::signer_socket(arguments.backend, *options.signer, context);
  const backends::SignerService service(backends::read_signer_keys(options, context));
  const std::vector<std::uint32_t> users = users_of(*options.signer, arguments.backend);
  const net::UnixListener listener(socket, options.signer->server_user.empty()
                                               ? net::UnixListener::Access::owner
                                               : net::UnixListener::Access::owner_and_group);
  enter_signer_sandbox();
  log.info("signer.ready",
           {{"socket", socket}, {"backend", arguments.backend}, {"pid", ::getpid()}});
  serve(listener, service, users, log);
  return kFailed;
}

}  // namespace

void add_signer(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("signer", "Hold the issuing keys, and sign with them");
  command->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  add_config_option(*command, arguments->config);
  command
      ->add_option("--set", arguments->settings,
                   "PATH=VALUE: an option that wins over the file's; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--backend", arguments->backend, "Whose keys: a local backend's name")
      ->type_name(kBackend)
      ->capture_default_str();
  command->add_option("--parent", arguments->parent,
                      "End with this process, which must be the one that started this");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace gatehouse::app
