// SPDX-License-Identifier: Apache-2.0
// cxsink spool stat|verify: looks into a spool, also while the daemon runs; changes nothing.
#ifndef CXSINK_CLI_SPOOL_H
#define CXSINK_CLI_SPOOL_H

// argv[0] is "spool"; the result is the exit code (app/daemon.h): 1 when verify finds damage, or
// the spool is not there or cannot be read.
int cli_spool(int argc, char **argv);

#endif
