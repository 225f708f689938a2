#include "acme-server/app/server/start_report.h"

#include <fstream>
#include <sstream>

#include "acme-server/app/server/preflight.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/web/links.h"
#include "validators/http01.h"
#include "validators/tls_alpn01.h"

namespace gatehouse::app {

namespace {

std::string print(const http::ListenerAddress& bound) {
  if (!bound.unix_path.empty()) return "unix:" + bound.unix_path;
  const bool v6 = bound.address.find(':') != std::string::npos;
  return (v6 ? "[" + bound.address + "]" : bound.address) + ":" + std::to_string(bound.port);
}

// The servers of resolv.conf(5), as c-ares will read them.
std::vector<std::string> system_servers(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> servers;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string keyword;
    std::string server;
    if (words >> keyword >> server && keyword == "nameserver") servers.push_back(server);
  }
  return servers;
}

std::string print_resolvers(const net::ResolverOptions& resolver) {
  if (!resolver.servers.empty()) return join(resolver.servers, ", ");
  const auto servers = system_servers(resolver.system_config);
  return (servers.empty() ? "none" : join(servers, ", ")) + " (" + resolver.system_config + ")";
}

std::string print_dnssec(const net::DnssecOptions& dnssec) {
  switch (dnssec.mode) {
    case net::DnssecMode::off:
      return "DNSSEC: nobody asks whether the DNS servers validate it";
    case net::DnssecMode::warn:
      return "DNSSEC: the DNS servers are asked whether they validate it, for " + dnssec.probe +
             "; the log names those that do not";
    case net::DnssecMode::required:
      return "DNSSEC: the DNS servers validate it, as their answers for " + dnssec.probe + " show";
  }
  return "";
}

// "10.0.0.0/8, 192.0.2.7/32"
std::string list_of(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> texts;
  for (const IpPrefix& prefix : prefixes) texts.push_back(prefix.to_string());
  return join(texts, ", ");
}

// `who` is the profile, and its directory where there are several.
std::string print_egress(const std::string& who, const Profile& profile) {
  std::string line =
      who +
      ": validation connects anywhere but to loopback, link-local, multicast, reserved "
      "and metadata addresses";
  if (!profile.allowed_addresses.empty()) {
    line += "; allowed besides: " + list_of(profile.allowed_addresses);
  }
  if (!profile.denied_addresses.empty()) {
    line += "; denied besides: " + list_of(profile.denied_addresses);
  }
  return line;
}

std::string print_caa(const std::vector<std::string>& identities) {
  if (identities.empty()) {
    return "CAA: no record can permit this CA, since base_url's host is an address; set "
           "caa_identities";
  }
  return "CAA: records permit this CA by " + join(identities, ", ");
}

// What is said of one directory, with its name where there are several.
std::vector<std::string> report_directory(const config::Config& config,
                                          const service::Directory& directory) {
  std::vector<std::string> lines;
  std::string who;
  if (config.policy.directories.size() > 1) {
    who = "directory " + directory.name.str() + ": ";
    lines.push_back(who + web::Links(config.web).directory(directory.name));
  }
  lines.push_back(who + print_caa(directory.caa_identities));
  for (const auto& [name, profile] : directory.profiles) {
    const std::string profile_of = who + "profile " + name;
    lines.push_back(print_egress(profile_of, profile));
    if (profile.caa == CaaMode::off) {
      lines.push_back(profile_of +
                      ": CAA is off: certificates are issued whatever a name's CAA records say");
    }
  }
  return lines;
}

// "http-01 validates on port 80", and what the RFC says if it is another.
template <class Validator>
std::string print_port(const Json& validators, const std::string& name, std::string_view type,
                       std::uint16_t usual, std::string_view rule) {
  const Json none = Json::object();
  const Json& own = validators.contains(name) ? validators.at(name) : none;
  const auto options = Validator::read_options(JsonObject(own, "validators." + name));
  std::string line = std::string(type) + " validates on port " + std::to_string(options.port);
  if (options.port != usual)
    line += " (" + std::string(rule) + " says " + std::to_string(usual) + ")";
  return line;
}

}  // namespace

std::vector<std::string> report_process(std::size_t descriptor_limit) {
  std::string libraries = "gatehouse " GATEHOUSE_VERSION;
  for (const LibraryVersion& library : library_versions()) libraries += ", " + library.text();
  return {libraries, "at most " + std::to_string(descriptor_limit) + " open descriptors"};
}

std::vector<std::string> print_listeners(const std::vector<http::ListenerAddress>& addresses) {
  std::vector<std::string> lines;
  lines.reserve(addresses.size());
  for (const http::ListenerAddress& bound : addresses) {
    lines.push_back(bound.listener + " on " + print(bound));
  }
  return lines;
}

std::vector<std::string> report_server(const config::Config& config,
                                       const std::vector<http::ListenerAddress>& addresses) {
  std::vector<std::string> lines;
  lines.push_back("directory " + config.web.base_url + "/directory");
  for (const std::string& line : print_listeners(addresses)) lines.push_back("listener " + line);
  lines.push_back("database " + config.store.database);
  lines.push_back("CRLs and issuers at " + config.public_url);
  lines.push_back("DNS servers " + print_resolvers(config.resolver));
  lines.push_back(print_dnssec(config.dnssec));
  lines.push_back(print_port<validators::Http01>(config.validators, "http01", "http-01", 80,
                                                 "RFC 8555 section 8.3"));
  lines.push_back(print_port<validators::TlsAlpn01>(config.validators, "tls_alpn01", "tls-alpn-01",
                                                    443, "RFC 8737 section 3"));
  for (const auto& [name, directory] : config.policy.directories) {
    for (const std::string& line : report_directory(config, directory)) lines.push_back(line);
  }
  return lines;
}

}  // namespace gatehouse::app
