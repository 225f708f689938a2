// The parts of gatehouse-floor that talk to something: each gives the CPU milliseconds of our side
// alone for one certificate. Throw std::runtime_error when what they need cannot be had.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "bench/signatures.h"

namespace gatehouse::bench {

struct HttpsLoad {
  std::size_t connections = 8;
  std::size_t requests = 8;            // of a certificate
  std::chrono::microseconds pause{0};  // of each connection after an answer: half to 1.5 of it
};

// Requests and answers over keep-alive connections of TLS 1.3 on loopback, handshakes not counted:
// one epoll loop that reads a record and writes one, and never looks at what it read. The clients
// are another process, and fork() wants us to have one thread.
double https(const HttpsLoad& load, std::size_t certificates);

// Six DNS questions by UDP, in sets of two and four on a socket each, and one HTTP GET on a
// connection of its own, answered by another process. Blocks in poll(2). One thread, as above.
double validation(std::size_t certificates);

// The rows of a certificate, as five transactions of which `commits` COMMITs make groups, on a
// database of Gatehouse's schema in a new folder in `folder`, which must be on a disk; checkpoints
// are in it; savepoints of a group's members and reads are not.
double commits(const std::string& folder, std::size_t commits, std::size_t certificates);

}  // namespace gatehouse::bench
