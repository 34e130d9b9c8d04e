// SPDX-License-Identifier: Apache-2.0
// The checks of the kind "execute" (execute_check.c).
#ifndef CXSINK_JOBS_EXECUTE_PRIV_H
#define CXSINK_JOBS_EXECUTE_PRIV_H

#include "core/buf.h"
#include "jobs/kind.h"

// A string of the parameters: where it stands there as it is, else unescaped in `held`.
const char *execute_string(const struct tape *params, uint32_t value, struct buf *held,
                           size_t *length_r);
// Looks at the file, or all of the text: its size, its place, and whether what it begins with is
// of the content type.
void execute_check(const struct kind_context *context, struct job_faults *faults);

#endif
