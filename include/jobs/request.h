// SPDX-License-Identifier: Apache-2.0
// The headers of a job's request: the same for all kinds, and for a dry run.
#ifndef CXSINK_JOBS_REQUEST_H
#define CXSINK_JOBS_REQUEST_H

#include "config/jobs.h"
#include "jobs/job.h"
#include "jobs/kind.h"
#include "net/http.h"

#define REQUEST_HEADERS_MAX 32

// Writes them to `list` and returns how many; names and values are those of the arguments. Without
// `authorization` (NULL) there is none.
size_t request_headers(const struct config_api *api, const struct job *job, const struct job_op *op,
                       const char *authorization, struct http_header list[REQUEST_HEADERS_MAX]);

#endif
