// SPDX-License-Identifier: Apache-2.0
// What the files of the writer of the audit log share: audit.c what its users see, audit_line.c a
// line, audit_chain.c the file that it goes into.
#ifndef CXSINK_OPS_AUDIT_WRITER_PRIV_H
#define CXSINK_OPS_AUDIT_WRITER_PRIV_H

#include "audit_priv.h"
#include "audit_recent_priv.h"
#include "ops/audit.h"

#include <sys/types.h>

struct audit {
    int fd; // -1: to be opened
    char *path;
    char *key;  // NULL: none
    char *user; // NULL: none
    uint64_t max_bytes;
    unsigned keep;
    char key_id[AUDIT_KEY_ID_DIGITS + 1];
    // As this process knew the file last:
    bool known;
    off_t size;
    char last[AUDIT_HASH_DIGITS + 1];       // hash of the last line
    char last_key[AUDIT_KEY_ID_DIGITS + 1]; // its key_id
    bool moved;                             // the file that it knew has another name now, or none
    struct timespec left;                   // when that one was written to last
    bool impatient;                         // the lock could not be had the last time
    unsigned missed; // events that are in the log alone since the last write that succeeded
    struct buf line, text;
    struct audit_recent recent;
};

// audit_chain.c: opens it, or creates it; -1 with a status.
int audit_open_file(const char *path, struct status *st);
// Takes the lock on the file that the path names now, catches up with what others did to it,
// renames it when it is full, appends `audit->line`, gives the lock back.
enum status_code audit_store(struct audit *audit, struct status *st) STATUS_MUST_CHECK;

// audit_line.c: makes the line, but for its end, and its text for the log. `audit` may be NULL.
void audit_compose(const struct audit *audit, const char *event, const char *stream,
                   const struct audit_field *fields, size_t n_fields, struct buf *line,
                   struct buf *text);
// Writes the line, or nothing of it: half a line would spoil the next one too, and a hash that is
// not in the file would break the chain. `before` goes ahead of it, in the same write.
enum status_code audit_append(struct audit *audit, const char *before, struct buf *line,
                              struct status *st) STATUS_MUST_CHECK;
// An event of the log itself.
struct audit_own_event {
    const char *before; // bytes ahead of the line; NULL: none
    const char *name;
    struct audit_field fields[2];
};

enum status_code audit_append_own(struct audit *audit, const struct audit_own_event *event,
                                  struct status *st) STATUS_MUST_CHECK;

#endif
