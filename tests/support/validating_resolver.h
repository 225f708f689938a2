// ValidatingResolver: Debian's unbound on loopback, which validates DNSSEC from a root of the
// test's own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "tests/support/loopback_server.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {

// The zones: signed.test; bogus.test, whose CAA record was changed after it was signed; plain.test,
// which is not signed. Each has a CAA record that permits `permitted`, and www below it. The root
// is signed.
class ValidatingResolver final {
 public:
  // The first tool that is not on this machine; nothing when it can be started.
  static std::optional<std::string> missing() {
    for (const char* tool : {kUnbound, kKeygen, kSignzone}) {
      if (::access(tool, X_OK) != 0) return std::string(tool) + " (Debian: unbound, ldnsutils)";
    }
    return std::nullopt;
  }

  explicit ValidatingResolver(const std::string& permitted) : port_(free_port()) {
    std::string root = zone(".", "");
    for (const char* name : {"signed.test", "bogus.test", "plain.test"}) {
      const std::string origin = std::string(name) + ".";
      put(origin + "zone", zone(origin, permitted));
      root += origin + " 300 IN NS ns.\n";
      if (origin != "plain.test.") root += read_file(at(sign(origin) + ".ds"));
    }
    put(".zone", root + "ns. 300 IN A 127.0.0.1\n");
    anchor_ = sign(".") + ".ds";
    forge("bogus.test.zone.signed", permitted);
    put("unbound.conf", config());
    start();
  }

  ~ValidatingResolver() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
  }

  ValidatingResolver(const ValidatingResolver&) = delete;
  ValidatingResolver& operator=(const ValidatingResolver&) = delete;

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  static constexpr const char* kUnbound = "/usr/sbin/unbound";
  static constexpr const char* kKeygen = "/usr/bin/ldns-keygen";
  static constexpr const char* kSignzone = "/usr/bin/ldns-signzone";

  static std::uint16_t free_port() {
    const LoopbackSocket tcp(SOCK_STREAM);
    const LoopbackSocket udp(SOCK_DGRAM, tcp.port());
    return tcp.port();
  }

  static std::string zone(const std::string& origin, const std::string& permitted) {
    std::string text =
        origin + " 300 IN SOA ns. hostmaster. 1 3600 600 86400 60\n" + origin + " 300 IN NS ns.\n";
    if (origin == ".") return text;
    text += origin + " 300 IN CAA 0 issue \"" + permitted + "\"\n";
    return text + "www." + origin + " 300 IN A 127.0.0.1\n";
  }

  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }

  void put(const std::string& name, const std::string& text) const {
    write_file(at(name), text, FileAccess::owner_only, ExistingFile::refuse);
  }

  // Signs `<origin>zone` with a key of its own. The name that the files of the key begin with.
  std::string sign(const std::string& origin) const {
    const std::string zone_file = origin == "." ? ".zone" : origin + "zone";
    std::string key = run({kKeygen, "-a", "ECDSAP256SHA256", "-k", origin});
    while (key.ends_with('\n')) key.pop_back();
    run({kSignzone, "-o", origin, "-f", zone_file + ".signed", zone_file, key});
    return key;
  }

  void forge(const std::string& name, const std::string& permitted) const {
    std::string text = read_file(at(name));
    const std::size_t place = text.find("\"" + permitted + "\"");
    if (place == std::string::npos) throw std::runtime_error(name + " has no CAA record");
    text[place + 1] = text[place + 1] == 'x' ? 'y' : 'x';
    write_file(at(name), text, FileAccess::owner_only, ExistingFile::replace);
  }

  std::string config() const {
    const std::string folder = folder_.path();
    std::string text = "server:\n  interface: 127.0.0.1@" + std::to_string(port_) +
                       "\n  do-ip6: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"" +
                       folder +
                       "\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n"
                       "  module-config: \"validator iterator\"\n  trust-anchor-file: \"" +
                       at(anchor_) +
                       "\"\n  local-zone: \"test.\" nodefault\n"
                       "remote-control:\n  control-enable: no\n";
    for (const auto& [name, file] : {std::pair{".", ".zone.signed"},
                                     {"signed.test", "signed.test.zone.signed"},
                                     {"bogus.test", "bogus.test.zone.signed"},
                                     {"plain.test", "plain.test.zone"}}) {
      text += "auth-zone:\n  name: \"" + std::string(name) + "\"\n  zonefile: \"" + file +
              "\"\n  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n";
    }
    return text;
  }

  // Starts `arguments` in our folder; its standard output and error come out of the pipe it
  // returns.
  int spawn(std::vector<std::string> arguments, pid_t& pid) const {
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, folder_.path().c_str());
    const int failed =
        ::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed != 0) throw std::runtime_error(arguments[0] + " cannot be started");
    return ends[0];
  }

  std::string run(const std::vector<std::string>& arguments) const {
    pid_t pid = -1;
    const int output = spawn(arguments, pid);
    std::string printed;
    char c = 0;
    while (::read(output, &c, 1) == 1) printed += c;
    ::close(output);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) throw std::runtime_error(arguments[0] + ": " + printed);
    return printed;
  }

  // Returns when it serves.
  void start() {
    output_ = spawn({kUnbound, "-d", "-c", at("unbound.conf")}, pid_);
    std::string printed;
    char c = 0;
    while (printed.find("start of service") == std::string::npos) {
      if (::read(output_, &c, 1) != 1) throw std::runtime_error("unbound: " + printed);
      printed += c;
    }
  }

  TemporaryFolder folder_;
  std::uint16_t port_;
  std::string anchor_;
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace gatehouse::testing
