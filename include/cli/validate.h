// SPDX-License-Identifier: Apache-2.0
// cxsink validate: NDJSON against a JSON Schema, with the validator of the daemon.
#ifndef CXSINK_CLI_VALIDATE_H
#define CXSINK_CLI_VALIDATE_H

#include <stdint.h>

// Longest line in bytes, without its end, where --max-line says nothing, and at most; a longer one
// is a fault, and the next ones are read on.
#define CLI_VALIDATE_LINE_MAX ((uint64_t)16 << 20)
#define CLI_VALIDATE_LINE_CAP ((uint64_t)1 << 30)

// argv[0] is "validate"; returns the exit code (app/daemon.h).
int cli_validate(int argc, char **argv);

#endif
