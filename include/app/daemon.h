// SPDX-License-Identifier: Apache-2.0
// `cxsink run`: builds every stage, wires them (app_wire), turns the loop, reloads, drains.
#ifndef CXSINK_APP_DAEMON_H
#define CXSINK_APP_DAEMON_H

// Exit codes of the programs (sysexits.h has most of them).
enum {
    EXIT_DONE = 0,
    EXIT_NO = 1,           // the answer is no
    EXIT_WRONG_USAGE = 64, // of the command line
    EXIT_NO_SERVER = 69,   // a server cannot be reached
    EXIT_FAULT = 70,       // of cxsink itself
    EXIT_CONFIG = 78       // configuration fault
};

// Runs in the foreground until a signal ends it. Returns the exit code.
int daemon_run(const char *config_path);

#endif
