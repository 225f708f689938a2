#include "acme-server/net/system_resolvers.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "acme-server/base/resource_exhaustion.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {
namespace {

constexpr std::size_t kMaxServers = 16;              // glibc itself reads three
constexpr std::size_t kMaxSystemConfig = 64 * 1024;  // of resolv.conf; what is beyond is not read

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};

// The beginning of the file; empty when it cannot be read. Throws when that is for want of
// descriptors or memory: such a file is not one that names no servers, and a C++ stream would not
// tell.
std::string system_config(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    throw_if_resource_exhaustion(errno, "open " + path);
    return {};
  }
  std::string text(kMaxSystemConfig, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

}  // namespace

std::vector<Endpoint> system_resolvers(const std::string& path) {
  std::vector<Endpoint> servers;
  std::istringstream lines(system_config(path));
  std::string line;
  while (servers.size() < kMaxServers && std::getline(lines, line)) {
    std::istringstream words(line);
    std::string keyword;
    std::string value;
    if (!(words >> keyword >> value) || keyword != "nameserver") continue;
    if (const auto server = Endpoint::parse(value, kDnsPort)) servers.push_back(*server);
  }
  if (servers.empty())
    servers.push_back({.address = IpAddress::v4(127, 0, 0, 1), .port = kDnsPort});
  return servers;
}

}  // namespace gatehouse::net
