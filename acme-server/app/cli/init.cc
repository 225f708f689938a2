// `gatehouse init` and `gatehouse root crl`.
#include "acme-server/app/ca_setup/init.h"

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/app/ca_setup/take_over.h"
#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/secret_arguments.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"

namespace gatehouse::app {

namespace {

constexpr const char* kInitFooter =
    "DESCRIPTION\n"
    "  Makes DIRECTORY/gatehouse.json, and in DIRECTORY/ca a root (root.pem, root.key), an issuing "
    "CA\n"
    "  under it (issuer.pem, issuer.key) and the root's first CRL (root.crl). All or nothing: "
    "where\n"
    "  any of them exists, nothing is touched. The server never needs root.key: move it to a "
    "medium\n"
    "  that is offline.\n"
    "\n"
    "  Under a root that you have already: --csr makes the issuing CA's key and a request, "
    "ca/issuer.csr,\n"
    "  in place of certificates; --import takes what your CA makes of it, as PEM, DER or PKCS#7, "
    "in "
    "any\n"
    "  order, with the certificates above it. A later certificate for the same key extends the CA; "
    "with\n"
    "  --alternate the chain leads to another root and is served besides (RFC 8555 section "
    "7.4.2).\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse init --directory /etc/gatehouse --base-url https://acme.corp.example \\\n"
    "    --name \"Corp\" --permit-dns corp.example --permit-ip 10.0.0.0/8\n"
    "  gatehouse init --directory . --base-url https://localhost:14000 --passphrase "
    "env:CA_PASSPHRASE\n"
    "  gatehouse init --csr --directory /etc/gatehouse --base-url https://acme.corp.example\n"
    "  gatehouse init --import issuer.p7b --root corp-root.cer --directory /etc/gatehouse";

constexpr const char* kCrlFooter =
    "DESCRIPTION\n"
    "  Replaces DIRECTORY/ca/root.crl by one with a higher number, signed with the root's key. A\n"
    "  running server serves it within a minute. What was revoked stays revoked.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse root crl --directory /etc/gatehouse --key /media/offline/root.key\n"
    "  gatehouse root crl --directory /etc/gatehouse --revoke 01ab… --reason 4";

struct InitArguments {
  InitOptions options;
  std::string key = "p256", root_key = "p384", passphrase, root_passphrase;
  bool csr = false;
  ImportOptions import;
  std::string root_file;
};

struct CrlArguments {
  RootCrlOptions options;
  std::string passphrase;
  int days = 365;
};

int print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::cout << line << '\n';
  return kDone;
}

int run_import(InitArguments& arguments) {
  ImportOptions& options = arguments.import;
  options.directory = arguments.options.directory;
  if (!arguments.root_file.empty()) options.offered.root = arguments.root_file;
  SystemClock clock;
  OsEntropy entropy;
  return print(import_issuer(options, clock, entropy));
}

int run_init(InitArguments& arguments) {
  if (!arguments.import.offered.files.empty()) return run_import(arguments);
  if (arguments.csr && arguments.options.base_url.empty()) {
    return print(request_again(arguments.options.directory, arguments.import.backend));
  }
  if (arguments.options.base_url.empty()) {
    throw std::runtime_error(
        "--base-url is missing: where clients reach the server, such as "
        "https://acme.corp.example");
  }
  InitOptions& options = arguments.options;
  options.issuer_key = read_key_kind("--key", arguments.key);
  options.root_key = read_key_kind("--root-key", arguments.root_key);
  options.issuer_passphrase = read_passphrase(arguments.passphrase);
  options.issuer_passphrase_reference = absolute_reference(arguments.passphrase);
  options.root_passphrase = read_passphrase(arguments.root_passphrase);
  SystemClock clock;
  OsEntropy entropy;
  return print(
      (arguments.csr ? init_request(options, clock, entropy) : init(options, clock, entropy))
          .lines);
}

int run_root_crl(CrlArguments& arguments) {
  arguments.options.passphrase = read_passphrase(arguments.passphrase);
  arguments.options.lifetime = arguments.days * kDay;
  SystemClock clock;
  return print(renew_root_crl(arguments.options, clock).lines);
}

// A company's root: options of their own, in either step.
void add_take_over(CLI::App& command, InitArguments& arguments) {
  CLI::Option* csr = command.add_flag(
      "--csr", arguments.csr, "Make a request for a root that you have, in place of certificates");
  command
      .add_option(
          "--subject", arguments.options.subject,
          "With --csr: the issuing CA's whole name, such as \"C=DE, O=Corp, CN=Corp Issuing "
          "CA\"; some companies' CAs want their country in it")
      ->needs(csr);
  CLI::Option* import =
      command
          .add_option("--import", arguments.import.offered.files,
                      "What your CA gave back: PEM, DER or PKCS#7; one or more files")
          ->type_name(kFile)
          ->excludes(csr);
  command
      .add_option("--root", arguments.root_file,
                  "With --import: the file of the root that is meant")
      ->type_name(kFile)
      ->needs(import);
  command
      .add_flag("--alternate", arguments.import.alternate,
                "With --import: a chain to another root, served besides")
      ->needs(import);
  command
      .add_option("--backend", arguments.import.backend,
                  "With --import or --csr: the backend's name, if there is more than one")
      ->type_name(kBackend);
}

}  // namespace

void add_init(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("init", "Make a CA and a config to start from");
  command->footer(kInitFooter);
  auto arguments = std::make_shared<InitArguments>();
  InitOptions& options = arguments->options;
  command->add_option("--directory", options.directory, "Where everything goes")
      ->type_name(kFolder)
      ->required();
  command
      ->add_option("--data", options.data,
                   "Where the database and what else the server writes goes; default: DIRECTORY")
      ->type_name(kFolder);
  command->add_flag("--systemd", options.systemd,
                    "Listen on the sockets of gatehouse.socket and gatehouse-public.socket");
  command->add_option("--base-url", options.base_url,
                      "Where clients reach the server: https://host[:port]");
  command->add_option(
      "--public-url", options.public_url,
      "Where certificates point for CRLs and issuers, for good: http://host[:port]; "
      "default: http and the base URL's host");
  command->add_option("--name", options.organization, "Organization, in the names of both CAs")
      ->capture_default_str();
  offers(command->add_option("--key", arguments->key, "Key of the issuing CA"), new_keys())
      ->capture_default_str();
  offers(command->add_option("--root-key", arguments->root_key, "Key of the root"), new_keys())
      ->capture_default_str();
  command
      ->add_option("--passphrase", arguments->passphrase,
                   "Encrypts the issuing CA's key: file:PATH, credential:NAME or env:NAME, for the "
                   "server too")
      ->type_name(kSecret);
  add_take_over(*command, *arguments);
  command
      ->add_option("--root-passphrase", arguments->root_passphrase,
                   "Encrypts the root's key: file:PATH, credential:NAME or env:NAME; default: "
                   "--passphrase")
      ->type_name(kSecret);
  command
      ->add_option("--permit-dns", options.permitted_dns,
                   "Name constraint: a DNS name, and all below it; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--permit-ip", options.permitted_ip,
                   "Name constraint: a prefix, such as 10.0.0.0/8; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command->callback(
      [&chosen, arguments] { chosen = [arguments] { return run_init(*arguments); }; });
}

void add_root(CLI::App& program, Command& chosen) {
  CLI::App* root = program.add_subcommand("root", "Upkeep of the root: `root crl`");
  root->require_subcommand(1);
  CLI::App* command = root->add_subcommand("crl", "Renew the root's CRL, or revoke a CA by it");
  command->footer(kCrlFooter);
  auto arguments = std::make_shared<CrlArguments>();
  RootCrlOptions& options = arguments->options;
  command->add_option("--directory", options.directory, "The folder with ca/ in it")
      ->type_name(kFolder)
      ->required();
  command->add_option("--key", options.root_key, "The root's key; default: ca/root.key")
      ->type_name(kFile);
  command
      ->add_option("--passphrase", arguments->passphrase,
                   "Of the root's key: file:PATH, credential:NAME or env:NAME")
      ->type_name(kSecret);
  command->add_option("--revoke", options.revoke, "Serial of a CA in hex; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--reason", options.reason, "Of those serials (RFC 5280 section 5.3.1)")
      ->capture_default_str();
  command->add_option("--days", arguments->days, "Until the next update")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  command->callback(
      [&chosen, arguments] { chosen = [arguments] { return run_root_crl(*arguments); }; });
}

}  // namespace gatehouse::app
