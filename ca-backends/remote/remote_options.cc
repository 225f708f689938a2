#include "ca-backends/remote/remote_options.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/duration.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::backends {
namespace {

constexpr std::size_t kMaxFilePath = 4096;  // PATH_MAX
constexpr std::size_t kMaxFiles = 16;
constexpr std::size_t kMaxUsages = 32;
constexpr std::size_t kMaxUsageLength = 128;
constexpr std::chrono::hours kDay{24};

std::vector<std::string> files_in(const JsonObject& options, std::string_view name) {
  auto files = options.optional_strings(name, kMaxFiles, kMaxFilePath);
  if (!files) return {};
  if (std::ranges::find(*files, "") != files->end()) {
    throw JsonError(options.path_of(name) + ": has an empty path");
  }
  return *files;
}

UsageOptions usages_in(const JsonObject& options, std::string_view name) {
  const auto object = options.optional_object(name);
  if (!object) return {};
  object->only({"required", "allowed"});
  return {.required = object->optional_strings("required", kMaxUsages, kMaxUsageLength),
          .allowed = object->optional_strings("allowed", kMaxUsages, kMaxUsageLength)
                         .value_or(std::vector<std::string>())};
}

}  // namespace

std::optional<std::chrono::milliseconds> optional_span(const JsonObject& options,
                                                       std::string_view name,
                                                       std::chrono::milliseconds min,
                                                       std::chrono::milliseconds max) {
  const auto text = options.optional_string(name, 32);
  if (!text) return std::nullopt;
  const auto span = parse_duration(*text);
  if (!span) {
    throw JsonError(options.path_of(name) + ": \"" + sanitize(*text, 40) +
                    "\" is not a duration: write a number and d, h, m, s or ms, such as \"90s\"");
  }
  if (*span < min || *span > max) {
    throw JsonError(options.path_of(name) + ": " + *text + " is out of range (" +
                    print_duration(min) + ".." + print_duration(max) + ")");
  }
  return span;
}

bool is_secret_reference(std::string_view value) {
  return value.starts_with("env:") || value.starts_with("file:") ||
         value.starts_with("credential:");
}

RemoteCaOptions read_remote_ca_options(const JsonObject& options) {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  RemoteCaOptions read;
  read.anchors = files_in(options, "anchors");
  if (read.anchors.empty()) {
    throw JsonError(options.path_of("anchors") +
                    ": is missing; name the file of the root that this CA's certificates lead to");
  }
  read.chain = files_in(options, "chain");
  if (const auto least = optional_span(options, "minimum_validity", seconds(1), kDay * 3650)) {
    read.minimum_validity = duration_cast<seconds>(*least);
  }
  read.key_usages = usages_in(options, "key_usages");
  read.extended_key_usages = usages_in(options, "extended_key_usages");
  read.client_dates = options.optional_bool("client_dates").value_or(false);
  read.forward_ca_errors = options.optional_bool("forward_ca_errors").value_or(false);
  if (const auto limit = optional_span(options, "pending_limit", seconds(60), kDay * 90)) {
    read.pending_limit = duration_cast<seconds>(*limit);
  }
  return read;
}

}  // namespace gatehouse::backends
