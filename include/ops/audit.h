// SPDX-License-Identifier: Apache-2.0
// The audit log: one JSON object a line, each with `prev` and `hash`, so that an altered, removed
// or reordered line shows. `hash` is the SHA-256, in hex, of the line's bytes up to `,"hash"`,
// which end in the `prev` member: the hash of the line before (64 zeros in the first). Every event
// also goes to the log with the field CXSINK_AUDIT.
#ifndef CXSINK_OPS_AUDIT_H
#define CXSINK_OPS_AUDIT_H

#include "core/status.h"

#include <stddef.h>

struct audit;

// One member of an event. Values are never payloads or secrets.
struct audit_field {
    const char *name;
    const char *value; // NULL: left out
};

// Opens or creates (mode 0600), takes a lock (STATUS_BUSY names the process that holds it: one
// writer at a time) and finds the last hash. STATUS_DENIED without permission. A last line that was
// torn by a crash is ended, and said by an event "audit.torn", whose `prev` is the hash of the last
// whole line.
struct audit *audit_open(const char *path, struct status *st) STATUS_MUST_CHECK;
void audit_close(struct audit **audit);

// `stream` for the log's field, may be NULL; it becomes the member "stream" too. A write that fails
// is logged as an error, leaves nothing of its line, and the event is in the log alone; the next
// write that succeeds says how many were missed, in an event "audit.missed".
void audit_write(struct audit *audit, const char *event, const char *stream,
                 const struct audit_field *fields, size_t n_fields);

#endif
