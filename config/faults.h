// Everything that is wrong in a config, where its readers stop at the first mistake.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "config/config.h"

namespace gatehouse::config {

// Throws what is wrong with `document`: a std::runtime_error that begins with the option's path.
using ReadDocument = std::function<void(const Json& document)>;

struct CollectedFaults {
  std::vector<std::string> messages;  // in the order in which `read` met them
  Json rest;                          // the document without what is wrong in it
  bool readable = false;              // whether `rest` can be read
};

// Reads `document` again and again, each time without the option that was refused, until nothing
// more is wrong. What is wrong only because an option was left out is not told. Stops early, with
// `readable` false, at a mistake that belongs to no option.
CollectedFaults collect_faults(Json document, const ReadDocument& read);

// What the parts of the program say of a config that could be read: messages that begin with an
// option's path.
using CheckParts = std::function<std::vector<std::string>(const Config& config)>;

// All that is wrong in the file at `path` with `settings` over it, in the order of the file, what
// `settings` say last: "gatehouse.json: validators.http01.port: 70000 is not a port (1..65535)
// (line 12)". Throws std::runtime_error when the file cannot be read, and JsonError for text that
// is not JSON.
std::vector<std::string> faults_of_file(const std::string& path,
                                        const std::vector<std::string>& settings,
                                        const CheckParts& check);

// What `config` says that may not be what was meant: durations without a unit, in the form of
// faults_of_file(), up to 20.
std::vector<std::string> warnings_of(const Config& config);

}  // namespace gatehouse::config
