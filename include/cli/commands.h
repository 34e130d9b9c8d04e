// SPDX-License-Identifier: Apache-2.0
// The commands of `cxsink`, one function a file. argv[0] is the command's name; the result is the
// exit code (app/daemon.h). One table in cli/main.c lists them.
#ifndef CXSINK_CLI_COMMANDS_H
#define CXSINK_CLI_COMMANDS_H

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_load(int argc, char **argv);
int cli_dead(int argc, char **argv);
int cli_jobs(int argc, char **argv);

#endif
