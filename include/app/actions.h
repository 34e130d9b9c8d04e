// SPDX-License-Identifier: Apache-2.0
// The actions of jobs: whether they could be run as they are configured.
#ifndef CXSINK_APP_ACTIONS_H
#define CXSINK_APP_ACTIONS_H

#include "config/load.h"

// Adds a fault for each range of "allowed_versions" that is none.
void actions_check(const struct config *config, struct config_faults *faults);
// For `cxsink check`, not for the daemon, which runs other jobs without it: adds a fault for the
// first action of kind publish when there is no cxsink-jscheck.
void actions_check_helper(const struct config *config, struct config_faults *faults);
// For `cxsink check` too: adds every fault of the jobs in jobs.queue, the files that they name
// included. The daemon does without those that are faulty, and says so.
void actions_check_queue(const struct config *config, struct config_faults *faults);

#endif
