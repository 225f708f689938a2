// Puts a backup in the place of the database, while no server runs.
#pragma once

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/service/operations/recovery.h"
#include "config/config.h"

namespace gatehouse::app {

class Server;

struct RestoreRequest {
  std::string backup;
  std::vector<std::string> crls, audit_logs;  // files: see service::RecoverySources
  bool other_ca = false;                      // take a backup of another CA or another installation
  bool older_schema = false;                  // take a backup that an earlier version made
};

// What a restore reads, open. `backup` is at its beginning.
struct RestoreSources {
  std::string name;  // of the backup
  std::ifstream backup;
  service::RecoverySources recovery;
  bool other_ca = false, older_schema = false;
};

// Opens the backup and reads the other files, as the user that the process is. Throws
// std::runtime_error that names the file.
RestoreSources open_sources(const RestoreRequest& request);

struct Restored {
  service::Recovered recovered;
  std::string kept;  // where the database that was there before is now; empty: there was none
};

// Locks the database as a server would. The backup is copied beside it, checked, brought up to this
// program's schema, and gets what the CRLs and audit logs tell, and what the database tells that it
// replaces: the events since, and its CRLs. Refused are a backup of another CA, of another
// installation, or of an older schema, unless the request says otherwise. Then it takes the
// database's place,
// whose files are kept beside it. Until then nothing of the old one is touched; a restore that is
// broken off in the middle keeps the server from starting until it is done again; that next one
// begins with the old one back in its place, and leaves it there if it throws. `make_server`
// gives a Server for a config that differs from `config` in its database alone. Throws
// std::runtime_error for the operator.
Restored restore(const config::Config& config, RestoreSources sources,
                 const std::function<std::unique_ptr<Server>(const config::Config&)>& make_server);

}  // namespace gatehouse::app
