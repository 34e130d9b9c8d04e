// SPDX-License-Identifier: Apache-2.0
// The last events of the audit log, in memory, for the status page: JSON objects without the chain.
#ifndef CXSINK_OPS_AUDIT_RECENT_PRIV_H
#define CXSINK_OPS_AUDIT_RECENT_PRIV_H

#include "core/buf.h"

#define AUDIT_RECENT_MAX 100

// Zeros: none yet.
struct audit_recent {
    struct buf lines[AUDIT_RECENT_MAX]; // number n is at n % AUDIT_RECENT_MAX
    uint64_t count;                     // of all that ever came
};

// `members` are the members of an object, without its closing brace.
void audit_recent_add(struct audit_recent *recent, const struct buf *members);
void audit_recent_deinit(struct audit_recent *recent);
// Appends a JSON array of those since the mark, oldest first, and moves it.
void audit_recent_json(const struct audit_recent *recent, uint64_t *mark, struct buf *out);

#endif
