// What the web layer is told: under which URLs it answers and whom it believes.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/ip_address.h"

namespace gatehouse::web {

// Which requests are a line in the log ("http.request"), besides the refusals, which always are.
enum class AccessLog {
  off,
  errors,   // answered with 400 or more
  clients,  // all but those of the operations listener and operators' commands
  all,
};

struct WebOptions {
  std::string
      base_url;  // "https://acme.corp.example", no slash at the end; the one origin of every URL
  std::string path = "/acme";                 // every ACME URL is <base_url><path>/<directory>/…
  std::string default_directory = "default";  // the one that /directory is
  std::vector<std::string>
      allowed_hosts;  // Host values taken besides base_url's; no URL is ever made of them
  AccessLog access_log = AccessLog::clients;
  std::vector<IpPrefix> trusted_proxies;  // whose X-Forwarded-For names the client
};

}  // namespace gatehouse::web
