// SPDX-License-Identifier: Apache-2.0
// The addresses of the streams and of PostgreSQL: whether a session can use them. Looked at before
// a configuration is put in force, so that a wrong one stops nothing.
#ifndef CXSINK_APP_ADDRESSES_H
#define CXSINK_APP_ADDRESSES_H

#include "config/load.h"

// Adds a fault for each stream whose URL is not one for stream/url, and for a DSN that libpq would
// not take.
void addresses_check(const struct config *config, struct config_faults *faults);

#endif
