// ExecProgram: one run of the program that speaks for a CA, and what its end says.
//
// The environment says what to do, standard input has the request, standard output takes the
// answer, and the exit code says how it went; docs/backends/exec.md is the contract.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/process.h"
#include "acme-server/base/secret.h"
#include "ca-backends/exec/exec_options.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/places.h"

namespace gatehouse::backends {

// What the program said by its exit code. `said` is its standard error, fit for a log.
struct ExecDone {  // 0
  std::string output, said;
};

struct ExecRefused {   // 10
  std::string reason;  // its standard output, fit for a client
  std::string said;
};

struct ExecPending {  // 11
  std::string token;  // "token: …" of its standard output; empty: none
  std::optional<std::chrono::seconds> retry_after;  // "retry-after: …"
  std::string said;
};

struct ExecNotSent {  // 12, or the program was not run
  std::string why;
  std::optional<std::chrono::seconds> retry_after;
};

struct ExecLost {   // any other end
  std::string why;  // how it ended, and what it said
};

using ExecReply = std::variant<ExecDone, ExecRefused, ExecPending, ExecNotSent, ExecLost>;

// Safe to call from many threads, at most `at_once` of which run the program.
class ExecProgram final {
 public:
  using Facts = std::vector<std::pair<std::string_view, std::string>>;  // "ACTION", "submit"

  // Throws std::runtime_error naming the program or the option: missing, not to be run, no such
  // user, or a user that we cannot become.
  ExecProgram(const std::string& backend, const ExecOptions& options,
              const BackendContext& context);

  // Runs it once, with each fact as GATEHOUSE_<NAME>. Never throws for what the program does; a
  // secret that cannot be read is ExecNotSent, too.
  ExecReply run(const Facts& facts, std::string_view input, Deadline deadline);

  // What keeps it from being run just now: nothing when it could be.
  std::optional<std::string> why_not_runnable() const;

  static constexpr std::size_t kMaxOutput = std::size_t{1} << 20U;  // octets
  static constexpr std::size_t kMaxError = std::size_t{1} << 20U;
  static constexpr std::size_t kMaxSaid = 2000;   // characters of it for operators
  static constexpr std::size_t kMaxReason = 500;  // characters for clients
  static constexpr std::size_t kMaxToken = 4096;

 private:
  Command command_with(const Facts& facts) const;

  const std::string backend_;
  const ExecOptions options_;
  const BackendContext context_;
  std::optional<RunAs> run_as_;
  Places places_;
};

}  // namespace gatehouse::backends
