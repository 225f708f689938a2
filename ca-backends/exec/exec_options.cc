#include "ca-backends/exec/exec_options.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {
namespace {

constexpr std::size_t kMaxArguments = 64;
constexpr std::size_t kMaxArgument = 4096;
constexpr std::size_t kMaxUserName = 256;  // LOGIN_NAME_MAX
constexpr std::size_t kMaxVariables = 64;
constexpr std::size_t kMaxValue = 32768;
constexpr std::int64_t kMinMemory = 16;
constexpr std::int64_t kMaxMemory = 65536;
constexpr std::int64_t kMaxAtOnce = 32;  // the issuance lane's threads
constexpr std::string_view kOurs = "GATEHOUSE_";

bool is_variable(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

std::map<std::string, std::string> variables_in(const JsonObject& options, std::string_view name) {
  const auto object = options.optional_object(name);
  if (!object) return {};
  std::map<std::string, std::string> variables;
  for (const auto& item : object->json().items()) {
    const std::string& variable = item.key();
    if (!is_variable(variable) || variable.starts_with(kOurs)) {
      throw JsonError(object->path() + ": \"" + sanitize(variable, 60) +
                      "\" cannot be set: a name is letters, digits and _, and those that begin "
                      "with GATEHOUSE_ are ours");
    }
    const std::string& value = object->string(variable, kMaxValue);
    if (value.find('\0') != std::string::npos) {
      throw JsonError(object->path_of(variable) + ": contains a NUL");
    }
    variables.emplace(variable, value);
  }
  if (variables.size() > kMaxVariables) {
    throw JsonError(object->path() + ": has more than " + std::to_string(kMaxVariables) +
                    " variables");
  }
  return variables;
}

std::vector<std::string> program_in(const JsonObject& options) {
  auto program = options.optional_strings("program", kMaxArguments, kMaxArgument);
  if (!program || program->empty() || !program->front().starts_with('/')) {
    throw JsonError(options.path_of("program") +
                    ": must be a list: the program's absolute path, then its arguments, such as "
                    "[\"/etc/gatehouse/issue\", \"--template\", \"web\"]");
  }
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (std::ranges::any_of(*program, has_nul)) {
    throw JsonError(options.path_of("program") + ": contains a NUL");
  }
  return std::move(*program);
}

}  // namespace

ExecOptions read_exec_options(const JsonObject& options) {
  options.only({"type", "program", "user", "environment", "secrets", "resumes", "revokes", "checks",
                "timeout", "memory_mib", "at_once", "anchors", "chain", "minimum_validity",
                "key_usages", "extended_key_usages", "client_dates", "pending_limit",
                "forward_ca_errors"});
  ExecOptions read;
  read.remote = read_remote_ca_options(options);
  read.program = program_in(options);
  read.user = options.optional_string("user", kMaxUserName).value_or("");
  read.environment = variables_in(options, "environment");
  read.secrets = variables_in(options, "secrets");
  for (const auto& [name, reference] : read.secrets) {
    // The text is not quoted: it may be the secret itself.
    if (!is_secret_reference(reference)) {
      throw JsonError(
          options.path_of("secrets") + "." + name +
          R"(: must be "env:NAME", "file:path" or "credential:NAME"; a secret does not belong in this file)");
    }
  }
  read.resumes = options.optional_bool("resumes").value_or(false);
  read.revokes = options.optional_bool("revokes").value_or(false);
  read.checks = options.optional_bool("checks").value_or(false);
  if (const auto span = optional_span(options, "timeout", std::chrono::milliseconds(100),
                                      std::chrono::minutes(10))) {
    read.timeout = *span;
  }
  read.memory_mib =
      static_cast<std::uint64_t>(options.optional_integer("memory_mib", kMinMemory, kMaxMemory)
                                     .value_or(static_cast<std::int64_t>(read.memory_mib)));
  read.at_once =
      static_cast<int>(options.optional_integer("at_once", 1, kMaxAtOnce).value_or(read.at_once));
  return read;
}

void check_exec_options(const JsonObject& options) {
  read_exec_options(options);
}

}  // namespace gatehouse::backends
