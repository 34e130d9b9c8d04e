// SPDX-License-Identifier: Apache-2.0
// cxsink validate: NDJSON against a JSON Schema, with the validator of the daemon.
#ifndef CXSINK_CLI_VALIDATE_H
#define CXSINK_CLI_VALIDATE_H

// Longest line in bytes, without its end; a longer one is a fault, and the next ones are read on.
#define CLI_VALIDATE_LINE_MAX ((size_t)64 << 20)

// argv[0] is "validate"; returns the exit code (app/daemon.h).
int cli_validate(int argc, char **argv);

#endif
