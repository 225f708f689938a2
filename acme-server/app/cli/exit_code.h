// What a failure means for the exit code: whether the same command may succeed later by itself.
#pragma once

#include <exception>

namespace gatehouse::app {

// kFailed (1) for what passes by itself: a TransientError; a lack of room, descriptors, memory or
// threads; an address that this machine does not have yet. A service manager starts the program
// again. kRefused (2) for all else: a person must mend it, and the packaged units do not try again
// (RestartPreventExitStatus=2). docs/operations.md has the table.
int exit_code_of(const std::exception& failure);

}  // namespace gatehouse::app
