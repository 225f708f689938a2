#include "acme-server/base/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace gatehouse {
namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The fields of /proc/self/stat (proc(5)) behind the program's name, which may hold anything: the
// first is field 3.
std::vector<std::string> stat_fields(const std::filesystem::path& proc) {
  const std::string text = read_all(proc / "self" / "stat");
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream words(text.substr(name_end + 1));
  return {std::istream_iterator<std::string>(words), {}};
}

// When the machine was booted, in Unix seconds.
std::optional<double> boot_time(const std::filesystem::path& proc) {
  std::istringstream lines(read_all(proc / "stat"));
  for (std::string word; lines >> word;) {
    double seconds = 0;
    if (word == "btime" && lines >> seconds) return seconds;
  }
  return std::nullopt;
}

std::optional<double> count_entries(const std::filesystem::path& folder) {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return error ? std::nullopt : std::optional(count);
}

}  // namespace

ProcessMetrics::ProcessMetrics(Metrics& metrics, std::filesystem::path proc)
    : proc_(std::move(proc)),
      cpu_seconds_(metrics.counter("process_cpu_seconds_total",
                                   "User and system CPU time of the process, in seconds.")),
      start_time_(metrics.gauge("process_start_time_seconds",
                                "When the process was started, in Unix seconds.")),
      resident_(metrics.gauge("process_resident_memory_bytes", "Resident memory, in bytes.")),
      virtual_(metrics.gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.")),
      open_descriptors_(metrics.gauge("process_open_fds", "Open file descriptors.")),
      max_descriptors_(
          metrics.gauge("process_max_fds", "File descriptors that the process may open.")) {
  update();
}

void ProcessMetrics::update() {
  constexpr std::size_t kUserTime = 14, kSystemTime = 15, kStartTime = 22, kVirtual = 23,
                        kResident = 24;
  const std::vector<std::string> fields = stat_fields(proc_);
  const auto field = [&](std::size_t number) { return std::stod(fields.at(number - 3)); };
  if (fields.size() > kResident - 3) {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const double cpu = (field(kUserTime) + field(kSystemTime)) / ticks;
    cpu_seen_.with([&](double& seen) {
      if (cpu > seen) cpu_seconds_.add(cpu - seen);
      seen = std::max(seen, cpu);
    });
    if (const auto boot = boot_time(proc_)) start_time_.set(*boot + field(kStartTime) / ticks);
    virtual_.set(field(kVirtual));
    resident_.set(field(kResident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  if (const auto open = count_entries(proc_ / "self" / "fd")) open_descriptors_.set(*open);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    max_descriptors_.set(static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace gatehouse
