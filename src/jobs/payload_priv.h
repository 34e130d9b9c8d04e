// SPDX-License-Identifier: Apache-2.0
// The body of a request that is made while it is sent: what stands before the payload, the payload
// in base64, what stands behind it. Nothing holds it whole; each piece is at most 64 KiB.
#ifndef CXSINK_JOBS_PAYLOAD_PRIV_H
#define CXSINK_JOBS_PAYLOAD_PRIV_H

#include "core/status.h"
#include "jobs/kind.h"
#include "net/http.h"

struct payload;

// `op` (its buffers, its path or text) must outlive it. A file is opened here and read later; its
// size is that of this moment: one that is cut meanwhile fails the request. STATUS_NOT_FOUND,
// STATUS_DENIED, STATUS_IO of the file; STATUS_INVALID when it is no regular file or larger than
// max_bytes.
struct payload *payload_open(const struct job_op *op, struct status *st) STATUS_MUST_CHECK;
void payload_close(struct payload **payload);
// The whole body, for as long as the payload.
struct http_source payload_source(struct payload *payload);

// Writes all of it to `out` (dry runs, storage of small ones). False when the file fails.
bool payload_write(struct payload *payload, struct buf *out);

#endif
