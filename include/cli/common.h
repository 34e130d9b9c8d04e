// SPDX-License-Identifier: Apache-2.0
// What the commands share: finding and loading the configuration, saying what is wrong.
#ifndef CXSINK_CLI_COMMON_H
#define CXSINK_CLI_COMMON_H

#include "config/load.h"
#include "core/buf.h"
#include "ops/audit.h"

#include <stdbool.h>
#include <stddef.h>

// -c, else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json.
const char *cli_config_path(const char *given);
// Loads it; prints every fault on stderr and returns NULL when there are some (exit code 78).
struct config *cli_load_config(const char *given);
// Where the daemon of this configuration keeps its state, and its control socket; the caller's. It
// takes no secret, so it works in a shell that has none. Prints the faults and returns NULL when it
// cannot be told (exit code 78).
char *cli_state_dir(const char *given);
char *cli_runtime_dir(const char *given);
// The audit log, for what this command does; also while the daemon writes to it. Events bear the
// user's name, and go to the journal too, where there is one. NULL where it cannot be written,
// which is told on stderr: audit_write(NULL, ...) then writes to the journal alone, else to stderr.
struct audit *cli_audit_open(const struct config *config, const char *command);
// FILE:LINE: POINTER: message, one line a fault, or a JSON array with `json`.
void cli_print_faults(const char *path, const struct config_faults *faults, bool json);
// Prints a text from outside on stdout, or appends it, so that it cannot steer a terminal: control
// characters (with `lines` but for line feeds and tabs) and bytes that are not UTF-8 become \xNN.
void cli_append_plain(struct buf *out, const char *text, size_t length, bool lines);
void cli_print_plain(const char *text, size_t length, bool lines);
// A bar of progress, "####....": `part` from 0 to 1 is done.
#define CLI_BAR_WIDTH 28
void cli_bar(double part, char bar[CLI_BAR_WIDTH + 1]);
// Prints "cxsink COMMAND: what; see cxsink COMMAND --help" and returns EXIT_WRONG_USAGE.
int cli_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
