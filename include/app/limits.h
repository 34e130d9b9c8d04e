// SPDX-License-Identifier: Apache-2.0
// How many descriptors a daemon of a configuration may have open at a time, and the limit of the
// process.
#ifndef CXSINK_APP_LIMITS_H
#define CXSINK_APP_LIMITS_H

#include "config/load.h"

#include <stddef.h>

// At most, with everything in use that the configuration allows.
size_t limits_descriptors(const struct config *config);
// Sets the process's soft limit to what is needed, as far as the hard one allows.
void limits_apply(const struct config *config);
// For `cxsink check --connect`: adds a fault when the hard limit is below what is needed.
void limits_check(const struct config *config, struct config_faults *faults);

#endif
