// What the signer's process gives up once its keys are read and its socket listens.
#pragma once

namespace gatehouse::app {

// First of all in the process: ends with `parent`, which must be the process that started this one;
// 0: nobody's child. No core file, no debugger. Throws when the parent is another already.
void die_with_parent(int parent);

// For good, for all threads to come: no new privileges; no sockets but unix ones, and none of those
// bound, connected or listened at; no program started, no other process looked into, no file opened
// for writing. A network namespace of its own where that is allowed. Throws when the kernel
// refuses.
void enter_signer_sandbox();

}  // namespace gatehouse::app
