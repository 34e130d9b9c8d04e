// SPDX-License-Identifier: Apache-2.0
// What the files of the kind "publish" share.
#ifndef CXSINK_JOBS_PUBLISH_PRIV_H
#define CXSINK_JOBS_PUBLISH_PRIV_H

#include "core/hash.h"
#include "jobs/kind.h"

#define PUBLISH_CODE_MAX ((size_t)1 << 20) // bytes

// publish_check.c: identifiers, environment, checksum, dependencies, the code but its syntax.
void publish_check(const struct kind_context *context, struct job_faults *faults);
// SHA-256 of the code, hex; "" without code.
void publish_checksum(const struct kind_context *context, char hex[HASH_SHA256_HEX_SIZE]);

// publish_webhook.c: {type: DEPLOYMENT_SUCCESS | DEPLOYMENT_FAILURE, metrics, audit, latencyMs},
// where the action has a webhook_url or a notify_url.
bool publish_notification(const struct job *job, const struct kind_context *context,
                          const char *result, struct buf *out);

#endif
