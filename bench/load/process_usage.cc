#include "bench/load/process_usage.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

namespace gatehouse::bench {

namespace {

struct Stat {
  int parent = 0;
  long user = 0, system = 0, children_user = 0, children_system = 0;  // clock ticks
};

// /proc/<pid>/stat from its third field on: the second, the command's name, may hold anything.
Stat read_stat(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) {
    throw std::runtime_error("there is no process " + std::to_string(pid));
  }
  std::istringstream fields(text.substr(name_end + 1));
  Stat stat;
  std::string skipped;
  fields >> skipped >> stat.parent;
  for (int field = 5; field <= 13; ++field) fields >> skipped;
  fields >> stat.user >> stat.system >> stat.children_user >> stat.children_system;
  return stat;
}

std::size_t status_kib(int pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
  }
  return 0;
}

std::multimap<int, int> children_by_parent() {
  std::multimap<int, int> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    try {
      children.emplace(read_stat(std::stoi(name)).parent, std::stoi(name));
    } catch (const std::runtime_error&) {  // it has ended meanwhile
      continue;
    }
  }
  return children;
}

void add_descendants(int pid, const std::multimap<int, int>& children, std::set<int>& all) {
  if (!all.insert(pid).second) return;
  const auto [from, to] = children.equal_range(pid);
  for (auto child = from; child != to; ++child) add_descendants(child->second, children, all);
}

}  // namespace

Usage usage_of(const std::vector<int>& pids) {
  std::set<int> all;
  const auto children = children_by_parent();
  for (const int pid : pids) add_descendants(pid, children, all);
  const double tick = 1000.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  Usage usage;
  for (const int pid : all) {
    const Stat stat = read_stat(pid);
    usage.user_milliseconds += tick * static_cast<double>(stat.user + stat.children_user);
    usage.system_milliseconds += tick * static_cast<double>(stat.system + stat.children_system);
    usage.rss_kib += status_kib(pid, "VmRSS");
    usage.peak_kib += status_kib(pid, "VmHWM");
  }
  usage.cpu_milliseconds = usage.user_milliseconds + usage.system_milliseconds;
  usage.processes = all.size();
  return usage;
}

}  // namespace gatehouse::bench
