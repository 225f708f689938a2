#include "acme-server/app/commands/control.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/app/cli/config_file.h"
#include "acme-server/app/commands/database_owner.h"
#include "acme-server/app/server/quiet_environment.h"
#include "acme-server/app/server/server.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/json.h"
#include "acme-server/http/http.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/http_response.h"
#include "acme-server/net/socket_dialer.h"
#include "acme-server/store/sql/lock_file.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/listener_options.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

using std::chrono::milliseconds;

// A socket of this machine answers at once or not at all.
constexpr milliseconds kConnectTimeout{10'000};
// The longest command makes a copy of the database.
constexpr milliseconds kAnswerTimeout = std::chrono::hours(4);
// A page of the largest rows; the server never sends more.
constexpr std::size_t kMaxAnswer = std::size_t{64} * 1024 * 1024;

struct Answer {
  int status = 0;
  std::string body;
};

// What the server said went wrong, or `answer`'s JSON.
Json result_of(const Answer& answer) {
  Json json;
  try {
    json = parse_json(answer.body, {.depth = 32, .members = 1'000'000});
  } catch (const JsonError& error) {
    throw CommandFailed(std::string("the server's answer is no JSON: ") + error.what());
  }
  if (answer.status == 200) return json;
  throw CommandFailed(JsonObject(json).optional_string("detail").value_or(
      "the server answered with status " + std::to_string(answer.status)));
}

// One request on a connection of its own.
Answer exchange(net::Stream& stream, const std::string& socket, const std::string& path,
                const std::string& body) {
  const std::string request = "POST " + path +
                              " HTTP/1.1\r\nHost: control\r\nContent-Type: application/json\r\n"
                              "Connection: close\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body;
  const Deadline deadline = Deadline::in(kAnswerTimeout);
  // A server that refuses the connection has closed it; its answer, if any, tells more.
  const auto unsent = stream.write(as_bytes(request), deadline);
  net::HttpResponseParser parser(kMaxAnswer);
  std::array<std::uint8_t, 65536> piece{};
  auto state = net::HttpResponseParser::State::more;
  bool silent = true;
  while (state == net::HttpResponseParser::State::more) {
    const auto count = stream.read(piece, deadline);
    const bool ended = !count || *count == 0;
    if (ended && silent) {
      throw CommandFailed("the server at " + socket +
                          " closed the connection without a word; it takes commands from root and "
                          "from its own user, and this is user " +
                          std::to_string(::geteuid()) + ": its log says why (http.peer_refused)");
    }
    if (!count || unsent)
      throw CommandFailed("the connection to the server at " + socket + " broke");
    silent = false;
    state = ended ? parser.finish() : parser.feed(as_text({piece.data(), *count}));
  }
  if (state == net::HttpResponseParser::State::failed || parser.response().body_cut) {
    throw CommandFailed("the server at " + socket + " stopped before its answer was whole");
  }
  return {.status = parser.response().status, .body = parser.response().body};
}

// A Server in this process, without listeners.
class OwnServer {
 public:
  explicit OwnServer(const config::Config& config)
      : environment_(config), server_(config, environment_.get()) {}

  Answer ask(const std::string& path, const std::string& body) {
    http::Request request;
    request.listener = web::kControlListener;
    request.method = "POST";
    request.target = path;
    request.body = body;
    request.peer.uid = ::geteuid();
    std::optional<http::Response> response;
    server_.handler()(std::move(request), [&](http::Response answer) { response = answer; });
    return {.status = response.value().status, .body = response->body ? *response->body : ""};
  }

 private:
  QuietEnvironment environment_;
  Server server_;
};

// The files that are created here must belong to the server's user.
void check_owner(const config::Config& config) {
  const std::string& path = config.store.database;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    throw std::runtime_error("no server answers at " + config.control_socket + ", and there is " +
                             (errno == ENOENT
                                  ? "no database " + path + " yet; start the server first"
                                  : "no reading " + path + ": " + std::strerror(errno)));
  }
  if (info.st_uid != ::geteuid()) {
    const std::string owner = std::to_string(info.st_uid);
    throw std::runtime_error("no server answers at " + config.control_socket +
                             "; to do it without one, be the database's owner: setpriv --reuid=" +
                             owner + " --clear-groups gatehouse …");
  }
}

std::unique_ptr<OwnServer> own_server(const config::Config& config) {
  check_owner(config);
  try {
    return std::make_unique<OwnServer>(config);
  } catch (const sql::LockTaken& taken) {
    throw std::runtime_error("the database " + config.store.database + " is in use by " +
                             taken.owner() + ", yet no server answers at " + config.control_socket +
                             "; it is starting or stopping, so try again, or it was started with "
                             "another control.socket");
  }
}

}  // namespace

struct Control::Impl {
  config::Config config;
  std::unique_ptr<net::Stream> stream;  // for the next request, when a server runs
  std::unique_ptr<OwnServer> own;

  // False when nobody listens.
  bool connect() {
    auto dialed = net::dial_unix(config.control_socket, Deadline::in(kConnectTimeout));
    if (dialed) {
      stream = std::move(*dialed);
      return true;
    }
    if (dialed.error().kind == net::DialError::Kind::refused) return false;
    throw std::runtime_error("the control socket " + config.control_socket + " " +
                             dialed.error().detail +
                             "; commands are for root and the server's own user");
  }
};

void add_control_options(CLI::App& command, ControlOptions& options) {
  add_config_option(command, options.config);
  command
      .add_option("--set", options.settings,
                  "PATH=VALUE: as given to serve, where it moves the socket or the database")
      ->take_all()
      ->allow_extra_args(false);
  command.add_flag("--json", options.json, "Print the server's JSON instead of a table");
}

config::Config load_config(const ControlOptions& options) {
  return config::load_config(config_file(options.config), options.settings);
}

Control::Control(const ControlOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->config = load_config(options);
  become_database_owner(impl_->config);
  if (!impl_->connect()) impl_->own = own_server(impl_->config);
}

Control::~Control() = default;

Json Control::ask(const std::string& path, const Json& body) {
  const std::string text = print_json(body);
  if (impl_->own) return result_of(impl_->own->ask(path, text));
  if (!impl_->stream && !impl_->connect()) {
    throw CommandFailed("the server at " + impl_->config.control_socket + " has stopped");
  }
  const auto stream = std::move(impl_->stream);
  return result_of(exchange(*stream, impl_->config.control_socket, path, text));
}

bool Control::server_runs() const {
  return impl_->own == nullptr;
}

}  // namespace gatehouse::app
