// What the signer's process gives up once its keys are read and its socket listens.
#pragma once

namespace gatehouse::app {

// First of all in the process: ends with `parent`, which must be the process that started this one;
// 0: nobody's child. No core file, no debugger. Throws when the parent is another already.
void die_with_parent(int parent);

// For good, for this thread and all it starts: no file is opened, read, changed or listed by its
// path, by the kernel's Landlock. False when the kernel has none. Needs PR_SET_NO_NEW_PRIVS. Throws
// when the kernel refuses.
bool give_up_files();

// For good, for all threads of the process: it may take connections at the sockets that it listens
// at, read, write and close what is open, start threads, compute and end. Every other system call
// is EPERM: no new socket, no file opened or changed, no program or process started, signalled or
// looked into, no memory made executable. No new privileges; a network namespace of its own where
// that is allowed; give_up_files() where the kernel can. A call of another architecture's table
// ends the process. Builds with a sanitizer let it read files. Throws when the kernel refuses.
void enter_signer_sandbox();

}  // namespace gatehouse::app
