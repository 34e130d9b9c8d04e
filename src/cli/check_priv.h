// SPDX-License-Identifier: Apache-2.0
// The part of `cxsink check` that talks to servers.
#ifndef CXSINK_CLI_CHECK_PRIV_H
#define CXSINK_CLI_CHECK_PRIV_H

#include "config/load.h"

#include <stddef.h>

// Logs in to PostgreSQL, fetches every token, shakes hands with every wss host, all at once; adds a
// fault for everything that is wrong. Returns how many of them only mean that a server could not
// be reached.
size_t check_connect(const struct config *config, struct config_faults *faults);

#endif
