// SPDX-License-Identifier: Apache-2.0
// What the folder needs of faults beyond config/load.h.
#ifndef CXSINK_CONFIG_FAULTS_PRIV_H
#define CXSINK_CONFIG_FAULTS_PRIV_H

#include "config/load.h"

// No more faults than these are kept; the last one says that there are more.
#define CONFIG_FAULTS_MAX 1000

// By line, keeping the order within a line.
void config_faults_sort(struct config_faults *faults);

#endif
