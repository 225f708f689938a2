// Where log lines go: a file descriptor, mostly standard error.
#pragma once

#include "acme-server/base/log.h"

namespace gatehouse {

// Writes each event as a line to `descriptor`, which stays the caller's. Whoever finds nobody
// writing writes, also the lines that come meanwhile: so threads seldom wait for one another, busy
// ones share a write(2), and no line waits for anything but the write before it. Who has a warning
// or an error returns when it is written, for the process may be about to end; so does everybody
// while too much is waiting. What cannot be written is lost.
Log::Sink descriptor_sink(int descriptor);

}  // namespace gatehouse
