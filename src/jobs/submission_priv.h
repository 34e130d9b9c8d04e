// SPDX-License-Identifier: Apache-2.0
// What the files that read submissions share: jobs/submission.c takes texts apart,
// submission_common.c reads the members common to every job, submission_params.c the rest.
#ifndef CXSINK_JOBS_SUBMISSION_PRIV_H
#define CXSINK_JOBS_SUBMISSION_PRIV_H

#include "config/load.h"
#include "jobs/submission.h"
#include "kind_priv.h"

// Ends with NULL.
extern const char *const submission_common[];

// Reads them from the object of one job. `action` is CONFIG_NONE after a fault in it.
void submission_read_common(const struct config_jobs *jobs, const struct tape *tape,
                            uint32_t object, struct submission *s, struct job_faults *faults);
// The other members as they are queued: paths absolute, code in place of its file, base64 without
// line ends. Faults are of what cannot be read, or not be stored.
void submission_write_params(const struct config_action *action, const char *dir,
                             const struct tape *tape, uint32_t object, struct buf *params,
                             struct job_faults *faults);

#endif
