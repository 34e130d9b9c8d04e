// SPDX-License-Identifier: Apache-2.0
// The commands of `cxsink`, one function a file. argv[0] is the command's name; the result is the
// exit code (app/daemon.h). One table lists them: the dispatcher, the help and the test of the
// manual page (config/man/cxsink.1 says of each what its --help says) go through it.
#ifndef CXSINK_CLI_COMMANDS_H
#define CXSINK_CLI_COMMANDS_H

#include <stddef.h>

struct cli_command {
    const char *name;
    int (*fn)(int argc, char **argv);
    const char *help; // a line
};

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_load(int argc, char **argv);
int cli_resume(int argc, char **argv);
int cli_dead(int argc, char **argv);
int cli_jobs(int argc, char **argv);
int cli_names(int argc, char **argv);
int cli_audit(int argc, char **argv);

#endif
