// How a command reaches the installation that its config names: over the running server's control
// socket, or without a server through one of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "config/config.h"

namespace gatehouse::app {

// The command was carried to the installation, and failed or was refused there: exit code 1.
class CommandFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What every command takes.
struct ControlOptions {
  std::string config;  // empty: see config_file()
  std::vector<std::string> settings;
  bool json = false;
};

// --config, --set and --json.
void add_control_options(CLI::App& command, ControlOptions& options);

// The config that they name. Throws JsonError or std::runtime_error.
config::Config load_config(const ControlOptions& options);

// The installation, for as long as a command lasts.
//
// With a server running, each ask() is a request on its control socket. Without one, the database
// is locked as a server would lock it and a Server of this process answers; it has no listener and
// runs no job: what a command leaves to be done (a CRL, an issuance) is done at the next start. The
// database must exist then and be this user's own. Root becomes the database's owner before either,
// so that no file of root's is left in the way of the server's user.
class Control {
 public:
  // Reads the config. Throws JsonError or std::runtime_error, all for exit code 2: nothing has
  // started.
  explicit Control(const ControlOptions& options);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Sends a command of web/admin/admin.cc and returns its result. Throws CommandFailed with what
  // the server said.
  Json ask(const std::string& path, const Json& body = Json::object());

  // Whether a server answers, rather than this process.
  bool server_runs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::app
