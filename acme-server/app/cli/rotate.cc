// `gatehouse rotate-issuer`.
#include "acme-server/app/ca_setup/rotate.h"

#include <CLI/App.hpp>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/config_file.h"
#include "acme-server/app/cli/secret_arguments.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"

namespace gatehouse::app {

namespace {

constexpr const char* kFooter =
    "DESCRIPTION\n"
    "  Makes the next issuing CA beside the one in use and names it in the config, which keeps "
    "its\n"
    "  comments; the old one goes to \"previous\": it goes on signing its CRLs and finishes what "
    "it "
    "has\n"
    "  begun. The config is changed last and in one step, and a run that was cut short is taken up "
    "by the\n"
    "  next. The server takes it at its next start.\n"
    "\n"
    "  Under a root of your own give its key, --root-key. Under a company's root: --csr makes a "
    "request,\n"
    "  and --import takes what the company's CA makes of it. Run it as the user that the server "
    "runs as.\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse rotate-issuer --config /etc/gatehouse/gatehouse.json --root-key /media/root.key\n"
    "  gatehouse rotate-issuer --config /etc/gatehouse/gatehouse.json --csr\n"
    "  gatehouse rotate-issuer --config /etc/gatehouse/gatehouse.json --import issuer-2.p7b";

struct Arguments {
  RotateOptions options;
  std::string key = "p256", passphrase, root_passphrase, root_file;
  bool csr = false;
};

int run(Arguments& arguments) {
  RotateOptions& options = arguments.options;
  options.config_file = config_file(options.config_file);
  using How = RotateOptions::How;
  const bool by_root = !options.root_key.empty();
  const bool import = !options.offered.files.empty();
  if (!by_root && !import && !arguments.csr) {
    throw std::runtime_error(
        "who signs the next issuing CA? Give the root's key with --root-key, or make a request for "
        "your company's root with --csr");
  }
  options.how = by_root ? How::root_key : import ? How::import : How::request;
  options.key = read_key_kind("--key", arguments.key);
  options.passphrase_reference = absolute_reference(arguments.passphrase);
  options.root_passphrase = read_passphrase(arguments.root_passphrase);
  if (!arguments.root_file.empty()) options.offered.root = arguments.root_file;
  SystemClock clock;
  OsEntropy entropy;
  for (const std::string& line : rotate_issuer(options, clock, entropy)) std::cout << line << '\n';
  return kDone;
}

}  // namespace

void add_rotate_issuer(CLI::App& program, Command& chosen) {
  CLI::App* command =
      program.add_subcommand("rotate-issuer", "Make the next issuing CA, and put it in use");
  command->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  RotateOptions& options = arguments->options;
  add_config_option(*command, options.config_file);
  command->add_option("--backend", options.backend, "The backend, if there is more than one")
      ->type_name(kBackend);
  CLI::Option* root_key =
      command->add_option("--root-key", options.root_key, "The file of our own root's key")
          ->type_name(kFile);
  command
      ->add_option("--root-passphrase", arguments->root_passphrase,
                   "Of the root's key: file:PATH or env:NAME")
      ->type_name(kSecret)
      ->needs(root_key);
  CLI::Option* csr =
      command->add_flag("--csr", arguments->csr, "Make a request for a company's root")
          ->excludes(root_key);
  CLI::Option* import = command
                            ->add_option("--import", options.offered.files,
                                         "What the company's CA gave back: PEM, DER or PKCS#7")
                            ->type_name(kFile)
                            ->excludes(root_key)
                            ->excludes(csr);
  command
      ->add_option("--root", arguments->root_file,
                   "With --import: the file of the root that is meant")
      ->type_name(kFile)
      ->needs(import);
  offers(command->add_option("--key", arguments->key, "Key of the next issuing CA"), new_keys())
      ->capture_default_str();
  command->add_option("--name", options.name,
                      "Its common name; default: the old one's with the next number");
  command
      ->add_option("--passphrase", arguments->passphrase,
                   "Encrypts its key: file:PATH or env:NAME; default: as the old one's")
      ->type_name(kSecret);
  command->add_flag("--again", options.again, "Although the issuer in use is not a day old");
  command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace gatehouse::app
