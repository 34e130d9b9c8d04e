// SPDX-License-Identifier: Apache-2.0
// The audit log: one JSON object a line, each with `prev` and `hash`, so that an altered, removed
// or reordered line shows. `hash` is the SHA-256, in hex, of the line's bytes up to `,"hash"`,
// which end in the `prev` member: the hash of the line before (64 zeros in the first). With a key
// it is the HMAC-SHA-256, and the member before `prev` is `key_id`, which names the key. Every
// event also goes to the log, with the fields CXSINK_AUDIT and CXSINK_AUDIT_HASH.
//
// Any number of processes may write: the daemon and, beside it, commands of whoever may write the
// file. Each write takes a lock on the file (flock(2)), goes on from the line that is the last one
// then, and gives the lock back. A daemon keeps it open; a command takes cli_audit_open().
//
// A file that has `max_bytes` is renamed to NAME-YYYYMMDD-HHMMSS.jsonl, and the chain goes on in a
// new one, whose first line is "audit.rotated". The same holds when another program renames it
// (logrotate): the next write finds out. What happens to the log is an event of it, too:
// "audit.torn" a crash left a part of a line, which is ended; "audit.missed" events that could not
// be written; "audit.truncated" the file is shorter than this process left it; "audit.key" the
// lines from here on have another key; "audit.removed" an old file is deleted.
#ifndef CXSINK_OPS_AUDIT_H
#define CXSINK_OPS_AUDIT_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

struct audit;
struct buf;
struct config;

struct audit_settings {
    const char *path;   // of the newest file
    const char *key;    // NULL or empty: none; whoever has it can forge, and nobody else
    const char *user;   // the member "user" of each event; NULL: none
    uint64_t max_bytes; // 0: the file is never renamed
    unsigned keep;      // renamed files that stay; 0: all
};

// One member of an event. Values are never payloads or secrets.
struct audit_field {
    const char *name;
    const char *value; // NULL: left out
};

// Opens the file, or creates it (mode 0600; made by root it belongs to the owner of its directory).
// Copies the settings. STATUS_DENIED without permission. Writes nothing.
struct audit *audit_open(const struct audit_settings *settings,
                         struct status *st) STATUS_MUST_CHECK;
// The audit log of a configuration, in its state_dir.
struct audit *audit_open_configured(const struct config *config, const char *user,
                                    struct status *st) STATUS_MUST_CHECK;
// Takes a daemon's other settings from the next event on; the path stays.
void audit_reconfigure(struct audit *audit, const struct config *config);
void audit_close(struct audit **audit);

// `stream` for the log's field, may be NULL; it becomes the member "stream" too. A write that fails
// is logged as an error, leaves nothing of its line, and the event is in the log alone; the next
// write that succeeds says how many were missed, in an event "audit.missed". It fails, too, when
// another process holds the lock for more than a tenth of a second. With `audit` NULL the event
// goes to the log alone.
void audit_write(struct audit *audit, const char *event, const char *stream,
                 const struct audit_field *fields, size_t n_fields);
// Appends a JSON array of the events that audit_write() got since the mark (0: of all), at most the
// last 100, oldest first, each without the end that chains it, and moves the mark.
void audit_recent(const struct audit *audit, uint64_t *mark, struct buf *out);

#endif
