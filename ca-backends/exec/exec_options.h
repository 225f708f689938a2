// The exec backend's own part of the config: {"type": "exec", …}.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {

struct ExecOptions {
  RemoteCaOptions remote;
  std::vector<std::string> program;  // its path, then its arguments; no shell reads them
  std::string user;                  // whom it runs as; empty: whom we run as
  std::map<std::string, std::string> environment;  // besides ours
  std::map<std::string, std::string> secrets;      // the same, as "file:…", "env:…", "credential:…"
  bool resumes = false;                            // a lost answer is asked for again by `resume`
  bool revokes = false;                            // it takes `revoke`
  bool checks = false;                             // it takes `check`
  std::chrono::milliseconds timeout = std::chrono::seconds(60);  // of one run
  std::uint64_t memory_mib = 512;                                // RLIMIT_AS of each process
  int at_once = 4;                                               // runs side by side
};

// Throws JsonError naming the option.
ExecOptions read_exec_options(const JsonObject& options);

void check_exec_options(const JsonObject& options);

}  // namespace gatehouse::backends
