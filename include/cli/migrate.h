// SPDX-License-Identifier: Apache-2.0
// cxsink migrate: brings the database schema up to date, or prints it.
#ifndef CXSINK_CLI_MIGRATE_H
#define CXSINK_CLI_MIGRATE_H

// argv[0] is "migrate". Returns the exit code: 0 done; 1 the database refuses or belongs to another
// build; 64 wrong usage; 69 the server cannot be reached or is not ready; 70 a fault of cxsink;
// 78 the configuration (also its credentials or database name) is faulty.
int cli_migrate(int argc, char **argv);

#endif
