// SPDX-License-Identifier: Apache-2.0
// Reading the audit log (ops/audit.h) while others write: its files in the order of the chain, each
// up to where it ended when it was opened, and whether the chain holds.
#ifndef CXSINK_OPS_AUDIT_READ_H
#define CXSINK_OPS_AUDIT_READ_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_READ_HASH_SIZE 65 // with the NUL
#define AUDIT_READ_KEY_ID_SIZE 17
#define AUDIT_READ_TIME_SIZE 32

struct audit_read_file {
    char *path;
    int fd;
    uint64_t size;
    char first_prev[AUDIT_READ_HASH_SIZE]; // of its first line; empty: it has no line
    char last_hash[AUDIT_READ_HASH_SIZE];  // of its last line
    char begins[AUDIT_READ_TIME_SIZE];     // time of its first line
};

struct audit_read {
    struct audit_read_file *files; // the newest is the last one
    size_t n_files;
};

// `path` is that of the newest file (state_dir/audit.jsonl). STATUS_NOT_FOUND: there is none.
// STATUS_BUSY: another process holds the lock for seconds.
enum status_code audit_read_open(const char *path, struct audit_read *read_r,
                                 struct status *st) STATUS_MUST_CHECK;
void audit_read_close(struct audit_read *read);

struct audit_read_line {
    const char *path;
    uint64_t number;  // from 1
    const char *text; // without the line feed; NUL-terminated
    size_t length;
    bool ended; // by a line feed
};

// Calls for each line of a file, until one returns false.
enum status_code audit_read_lines(const struct audit_read_file *file,
                                  bool (*fn)(void *owner, const struct audit_read_line *line),
                                  void *owner, struct status *st) STATUS_MUST_CHECK;

struct audit_verify_settings {
    // Keys of the lines, that of now first (NULL: the log has none now), then earlier ones.
    const char *const *keys;
    size_t n_keys; // at least 1
    // Each fault, as it is found.
    void (*fault)(void *owner, const char *path, uint64_t line, const char *what);
    void *owner;
};

struct audit_verdict {
    uint64_t faults;
    uint64_t lines, files;
    uint64_t torn;    // parts of lines that a crash left, and that are told of in the log
    uint64_t unkeyed; // lines without a key: whoever can write the file can have made them
    bool cut_off;  // the chain does not begin with the first line of all: older files are removed
    bool open_end; // the last line of all is torn, and nothing was written since
    char first_time[AUDIT_READ_TIME_SIZE], last_time[AUDIT_READ_TIME_SIZE];
    char last_hash[AUDIT_READ_HASH_SIZE];
};

// Verified when `faults` is 0. That lines are missing at the very end cannot be seen: compare
// last_hash with the journal's CXSINK_AUDIT_HASH.
enum status_code audit_verify(const struct audit_read *read,
                              const struct audit_verify_settings *settings,
                              struct audit_verdict *verdict_r, struct status *st) STATUS_MUST_CHECK;

#endif
