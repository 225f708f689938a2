// `gatehouse backup` and `gatehouse restore`.
#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/commands/database_owner.h"
#include "acme-server/app/server/quiet_environment.h"
#include "acme-server/app/server/restore.h"
#include "acme-server/app/server/server.h"
#include "acme-server/base/json.h"
#include "acme-server/service/operations/recovery.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/open.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

constexpr const char* kBackupFooter =
    "DESCRIPTION\n"
    "  Copies the database, as it is at one moment, to a new file (mode 0600), while the server "
    "goes\n"
    "  on, and checks the copy. The command writes the file, as whoever runs it: root may choose "
    "any\n"
    "  folder. Keys are not in it: keep copies of ca/ and of the config elsewhere.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse backup /var/backups/gatehouse/monday.db";

constexpr const char* kRestoreFooter =
    "DESCRIPTION\n"
    "  Puts a backup in the database's place. The server must be stopped. What was revoked or\n"
    "  deactivated since the backup is not in it: the database that it replaces is asked for that, "
    "if it "
    "is\n"
    "  there and whole. Besides give the latest CRL of every issuer and shard, as it was "
    "published\n"
    "  (DER), and the exported audit log, as far as you have them. No CRL number goes down and no\n"
    "  revocation that they tell of is taken back. What cannot be known is printed. The database "
    "that\n"
    "  was there is kept beside it.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse restore monday.db --crl latest.crl --audit audit.jsonl";

struct BackupArguments {
  ControlOptions control;
  std::string to;
};

struct RestoreArguments {
  ControlOptions control;
  RestoreRequest request;
};

// The server's sandbox keeps it from writing where backups go, so the copy is this command's own:
// read as the database's owner, written as whoever runs the command.
std::uint64_t copy_database(const BackupArguments& arguments, const std::string& to) {
  const config::Config config = load_config(arguments.control);
  if (std::error_code error; !std::filesystem::exists(config.store.database, error) && !error) {
    throw std::runtime_error("there is no database " + config.store.database +
                             " yet; start the server first");
  }
  AsDatabaseOwner owner(config);
  try {
    sql::backup(config.store, to, [&owner] { owner.end(); });
  } catch (const sql::DatabaseError& error) {
    throw CommandFailed(error.what());
  }
  return std::filesystem::file_size(to);
}

// Into the audit trail. The copy is there whatever becomes of this.
Json record(const BackupArguments& arguments, const std::string& to, std::uint64_t octets) {
  try {
    Control control(arguments.control);
    return control.ask("/backup", {{"file", to}, {"octets", octets}});
  } catch (const std::runtime_error& error) {
    throw CommandFailed(
        to + " is made and checked, but the audit trail does not have it: " + error.what());
  }
}

int run_backup(const BackupArguments& arguments) {
  const std::string to = std::filesystem::absolute(arguments.to).lexically_normal().string();
  const Json result = record(arguments, to, copy_database(arguments, to));
  if (arguments.control.json) {
    print_line(result);
  } else {
    std::cout << "backed up to " << text_of(result, "file") << ", " << text_of(result, "octets")
              << " octets, checked\n";
  }
  return kDone;
}

Json to_json(const Restored& restored) {
  const service::Recovered& recovered = restored.recovered;
  return {{"kept", restored.kept},
          {"revoked", recovered.revoked},
          {"revoked_unknown", recovered.revoked_unknown},
          {"accounts_deactivated", recovered.accounts_deactivated},
          {"keys_blocked", recovered.keys_blocked},
          {"events", recovered.events},
          {"highest_crl_number", recovered.highest_number},
          {"unknown", recovered.unknown}};
}

void print_restored(const Restored& restored) {
  const service::Recovered& recovered = restored.recovered;
  std::cout << "restored; taken over from what was given:\n"
            << "  " << recovered.revoked << " certificates revoked since the backup\n"
            << "  " << recovered.revoked_unknown
            << " revoked serials of certificates that the backup does not know\n"
            << "  " << recovered.accounts_deactivated << " accounts deactivated since\n"
            << "  " << recovered.keys_blocked << " keys blocked since\n"
            << "  " << recovered.events << " events of the audit log\n"
            << "  the next CRL's number is higher than " << recovered.highest_number << '\n';
  for (const std::string& sentence : recovered.unknown)
    std::cout << "not known: " << sentence << '\n';
  if (!restored.kept.empty())
    std::cout << "the database before is kept as " << restored.kept << '\n';
}

int run_restore(const RestoreArguments& arguments) {
  const config::Config config = load_config(arguments.control);
  RestoreSources sources = open_sources(arguments.request);  // still as root, who may read them
  become_database_owner(config);
  QuietEnvironment environment(config);
  const Restored restored = restore(config, std::move(sources), [&](const config::Config& at_work) {
    return std::make_unique<Server>(at_work, environment.get());
  });
  if (arguments.control.json) {
    print_line(to_json(restored));
  } else {
    print_restored(restored);
  }
  return kDone;
}

}  // namespace

void add_backup(CLI::App& program, Command& chosen) {
  CLI::App* backup = program.add_subcommand("backup", "Copy the database while it is in use");
  backup->footer(kBackupFooter);
  auto to = std::make_shared<BackupArguments>();
  add_control_options(*backup, to->control);
  backup->add_option("file", to->to, "The new file")->type_name(kFile)->required();
  backup->callback([&chosen, to] { chosen = [to] { return run_backup(*to); }; });

  CLI::App* restore = program.add_subcommand("restore", "Put a backup in the database's place");
  restore->footer(kRestoreFooter);
  auto from = std::make_shared<RestoreArguments>();
  add_control_options(*restore, from->control);
  restore->add_option("file", from->request.backup, "The backup")->type_name(kFile)->required();
  restore->add_option("--crl", from->request.crls, "A CRL published since; may be repeated")
      ->type_name(kFile)
      ->allow_extra_args(false);
  restore
      ->add_option("--audit", from->request.audit_logs, "The exported audit log; may be repeated")
      ->type_name(kFile)
      ->allow_extra_args(false);
  restore->add_flag("--force-other-ca", from->request.other_ca,
                    "Although the backup is another CA's or another installation's");
  restore->add_flag("--force-older-schema", from->request.older_schema,
                    "Although an earlier version of the program made the backup");
  restore->callback([&chosen, from] { chosen = [from] { return run_restore(*from); }; });
}

}  // namespace gatehouse::app
