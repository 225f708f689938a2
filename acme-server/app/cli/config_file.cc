#include "acme-server/app/cli/config_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <cstdlib>
#include <string>

#include "acme-server/app/cli/values.h"

namespace gatehouse::app {

namespace {

constexpr const char* kVariable = "GATEHOUSE_CONFIG";
constexpr const char* kHere = "gatehouse.json";
constexpr const char* kInstalled = "/etc/gatehouse/gatehouse.json";

// Only this user and root could have put there what is at `path`.
bool is_ours(const char* path) {
  struct stat info{};
  if (::stat(path, &info) != 0) return false;
  const bool owned = info.st_uid == ::geteuid() || info.st_uid == 0;
  return owned && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

void add_config_option(CLI::App& command, std::string& file) {
  command
      .add_option("-c,--config", file,
                  "The config file; default: $GATEHOUSE_CONFIG, else ./gatehouse.json where "
                  "only its owner can write it and its folder, else "
                  "/etc/gatehouse/gatehouse.json")
      ->type_name(kFile);
}

std::string config_file(const std::string& given) {
  if (!given.empty()) return given;
  // Called before any thread runs.
  if (const char* named = std::getenv(kVariable);  // NOLINT(concurrency-mt-unsafe)
      named != nullptr && *named != '\0') {
    return named;
  }
  return is_ours(kHere) && is_ours(".") ? kHere : kInstalled;
}

}  // namespace gatehouse::app
