// SPDX-License-Identifier: Apache-2.0
// What the writer and the readers of the audit log share: the end of a line, and which files are
// part of a log.
#ifndef CXSINK_OPS_AUDIT_PRIV_H
#define CXSINK_OPS_AUDIT_PRIV_H

#include "core/buf.h"
#include "core/hash.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define AUDIT_HASH_DIGITS (2 * HASH_SHA256_SIZE)
#define AUDIT_KEY_ID_DIGITS 16
// `prev` of the first line of all.
#define AUDIT_NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

// The end of a line: `,"key_id":"..","prev":"..","hash":".."}`; the first of them only with a key.
#define AUDIT_SEAL_BYTES 192 // at most
struct audit_seal {
    size_t sealed;                        // bytes of the line that the hash covers
    char key_id[AUDIT_KEY_ID_DIGITS + 1]; // empty: none
    char prev[AUDIT_HASH_DIGITS + 1];
    char hash[AUDIT_HASH_DIGITS + 1];
};

// Of a line without its line feed. False: it has no such end.
bool audit_seal_read(const char *line, size_t length, struct audit_seal *seal_r);
// Appends the end to what there is of a line, with its line feed.
void audit_seal_write(struct buf *line, const char *key, struct audit_seal *seal);
// The time that a line begins with; empty: there is none.
#define AUDIT_TIME_SIZE 32
void audit_line_time(const char *line, char time_r[AUDIT_TIME_SIZE]);
// The hash that the first `sealed` bytes of a line must have; `key` NULL: without one.
void audit_seal_hash(const char *line, size_t sealed, const char *key,
                     char hash_r[AUDIT_HASH_DIGITS + 1]);
// Names a key and tells nothing of it. Empty with NULL.
void audit_key_id(const char *key, char id_r[AUDIT_KEY_ID_DIGITS + 1]);

// What an open file ends with.
struct audit_tail {
    bool any;               // there is a line with its hash
    bool torn;              // the file does not end in a line feed
    struct audit_seal seal; // of the last such line
};
enum status_code audit_tail_read(int fd, struct audit_tail *tail_r,
                                 struct status *st) STATUS_MUST_CHECK;

// The files beside `path`, by name: those that the writer renamed (NAME-YYYYMMDD-HHMMSS.jsonl), and
// those that another program did (NAME.jsonl.1 and the like, not compressed).
struct audit_files {
    char **names; // without the directory
    size_t n;
};
void audit_files_list(const char *path, bool renamed_by_us, struct audit_files *files_r);
void audit_files_free(struct audit_files *files);
char *audit_beside(const char *path, const char *name); // the path of a file beside it; owned
// The path that the file is renamed to: later than all there are. Owned.
char *audit_next_name(const char *path);
// The path of the file that was written to last, beside `path` itself, and when; NULL: none. Owned.
char *audit_previous(const char *path, struct timespec *written_r);

#endif
