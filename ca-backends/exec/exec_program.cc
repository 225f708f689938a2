#include "ca-backends/exec/exec_program.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/duration.h"
#include "acme-server/base/process.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "ca-backends/exec/exec_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {
namespace {

constexpr int kIssued = 0;
constexpr int kRefused = 10;
constexpr int kPending = 11;
constexpr int kNotSent = 12;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

// The end of it: a program says last why it fails.
std::string said_by(std::string_view error) {
  std::string_view text = trim(error);
  if (text.size() > ExecProgram::kMaxSaid) text.remove_prefix(text.size() - ExecProgram::kMaxSaid);
  std::string line(text);
  std::ranges::replace(line, '\n', ' ');
  return sanitize(line, ExecProgram::kMaxSaid);
}

std::string with_said(std::string sentence, const std::string& said) {
  return said.empty() ? sentence : sentence + "; it said: " + said;
}

// The value of the line "name: value"; nothing when there is none.
std::optional<std::string> line_of(std::string_view output, std::string_view name) {
  for (const std::string_view line : split(output, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!equals_ignoring_case(trim(line.substr(0, colon)), name)) continue;
    return std::string(trim(line.substr(colon + 1)));
  }
  return std::nullopt;
}

std::optional<std::chrono::seconds> retry_after_in(std::string_view output) {
  const auto text = line_of(output, "retry-after");
  if (!text) return std::nullopt;
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return std::chrono::seconds(count);
}

ExecReply reply_to_code(int code, RunResult result) {
  std::string said = said_by(result.error);
  switch (code) {
    case kIssued:
      return ExecDone{.output = std::move(result.output), .said = std::move(said)};
    case kRefused:
      return ExecRefused{.reason = sanitize(trim(result.output), ExecProgram::kMaxReason),
                         .said = std::move(said)};
    case kPending: {
      std::string token = line_of(result.output, "token").value_or("");
      if (token.size() > ExecProgram::kMaxToken || !is_utf8(token)) {
        return ExecLost{
            with_said("the program's token is longer than 4096 octets, or no UTF-8", said)};
      }
      return ExecPending{.token = std::move(token),
                         .retry_after = retry_after_in(result.output),
                         .said = std::move(said)};
    }
    case kNotSent:
      return ExecNotSent{.why = with_said("the program says that the CA was not asked", said),
                         .retry_after = retry_after_in(result.output)};
    default:
      return ExecLost{with_said("the program ended with exit code " + std::to_string(code), said)};
  }
}

ExecReply reply_of(RunResult result, std::chrono::milliseconds timeout) {
  const std::string said = said_by(result.error);
  switch (result.end) {
    case RunEnd::deadline:
      return ExecLost{with_said(
          "the program was ended since it took longer than " + print_duration(timeout), said)};
    case RunEnd::output_too_long:
      return ExecLost{with_said("the program was ended since it wrote more than 1 MiB", said)};
    case RunEnd::exited:
      break;
  }
  if (const auto* exited = std::get_if<Exited>(&result.status)) {
    return reply_to_code(exited->code, std::move(result));
  }
  return ExecLost{with_said("the program ended by " + to_text(result.status), said)};
}

}  // namespace

ExecProgram::ExecProgram(const std::string& backend, const ExecOptions& options,
                         const BackendContext& context)
    : backend_(backend), options_(options), context_(context), places_(options.at_once) {
  if (const auto why = why_not_runnable()) {
    throw std::runtime_error("backends." + backend + ".program: " + *why);
  }
  if (options.user.empty()) return;
  run_as_ = find_user(options.user);
  const std::string option = "backends." + backend + ".user: ";
  if (!run_as_) throw std::runtime_error(option + "there is no user \"" + options.user + "\"");
  if (run_as_->user == ::geteuid()) {
    run_as_.reset();
  } else if (::geteuid() != 0) {
    throw std::runtime_error(option + "only root can start programs as \"" + options.user +
                             "\", and this is another user; leave the option out, and have the "
                             "program talk to a service of that user's");
  }
}

std::optional<std::string> ExecProgram::why_not_runnable() const {
  const std::string& path = options_.program.front();
  if (::access(path.c_str(), F_OK) != 0) return path + " does not exist, or cannot be reached";
  // Who cannot run it as another user may well run it as that one.
  if (options_.user.empty() && ::access(path.c_str(), X_OK) != 0) {
    return path + " cannot be run; is it a file with execute permission (chmod +x)?";
  }
  return std::nullopt;
}

Command ExecProgram::command_with(const Facts& facts) const {
  std::map<std::string, std::string> variables = options_.environment;
  for (const auto& [name, reference] : options_.secrets) {
    const Secret secret = context_.resolve_secret(reference);
    variables.insert_or_assign(name, std::string(secret.reveal()));
  }
  variables.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  variables.emplace("LC_ALL", "C.UTF-8");
  for (const auto& [name, value] : facts) {
    variables.insert_or_assign("GATEHOUSE_" + std::string(name), value);
  }
  Command command{.program = options_.program.front(),
                  .arguments = options_.program,
                  .environment = {},
                  .memory_limit = options_.memory_mib * kMiB,
                  .run_as = run_as_};
  for (const auto& [name, value] : variables) command.environment.push_back(name + "=" + value);
  return command;
}

ExecReply ExecProgram::run(const Facts& facts, std::string_view input, Deadline deadline) {
  const auto place = places_.take(deadline);
  if (!place) {
    return ExecNotSent{.why = "the program runs " + std::to_string(options_.at_once) +
                              " times already (backends." + backend_ + ".at_once)",
                       .retry_after = Places::kPause};
  }
  std::optional<Command> command;
  try {
    command = command_with(facts);
  } catch (const std::exception& failure) {  // a secret
    return ExecNotSent{.why = failure.what(), .retry_after = std::nullopt};
  }
  try {
    return reply_of(run_process(*command, {.input = input,
                                           .max_output = kMaxOutput,
                                           .max_error = kMaxError,
                                           .deadline = deadline.at_most(options_.timeout)}),
                    options_.timeout);
  } catch (const ProcessError& not_started) {
    return ExecNotSent{.why = not_started.what(), .retry_after = std::nullopt};
  } catch (const std::exception& failure) {
    return ExecLost{failure.what()};
  }
}

}  // namespace gatehouse::backends
