// SPDX-License-Identifier: Apache-2.0
// What lies in a spool's directory, looked at without changing it: for recovery and for inspection.
#ifndef CXSINK_SPOOL_SCAN_PRIV_H
#define CXSINK_SPOOL_SCAN_PRIV_H

#include "core/status.h"
#include "core/uuid.h"
#include "spool/io_priv.h"
#include "spool/position_priv.h"
#include "spool/segment_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_LOCK_FILE "lock"

// A file whose name is a segment's.
struct scan_file {
    uint64_t name; // its number
    uint64_t size;
    bool strange;   // not a plain file, or it cannot be opened: left alone
    bool header_ok; // header is there, whole and of a version that is known
    struct segment_header header;
};

struct scan {
    struct scan_file *files; // owned; by name
    size_t count;
    size_t leftovers; // files "*.tmp"
};

// The lock file's text: the process id, a line feed, the spool's id, a line feed. The id there is
// the last resort when position and headers are damaged.
struct scan_lock {
    long pid;
    bool has_id;
    struct uuid id;
};

// Opens a spool's directory.
enum status_code scan_open_dir(const char *dir, int *fd_r, struct status *st) STATUS_MUST_CHECK;
struct scan_lock scan_read_lock(int fd);
// STATUS_DENIED when permission keeps a segment closed; other strange files are marked as such.
enum status_code scan_dir(const struct spool_io *io, const char *dir, int dir_fd,
                          struct scan *scan_r, struct status *st) STATUS_MUST_CHECK;
void scan_free(struct scan *scan);
// Removes leftover temporary files.
void scan_remove_leftovers(const struct spool_io *io, int dir_fd);

// The spool's id: the position's if any segment agrees with it or none has another one, else that
// of the newest segment, else the lock's. `position` may have generation 0. False when none is
// known.
bool scan_id(const struct scan *scan, const struct position *position, const struct scan_lock *lock,
             struct uuid *id_r);
// The file is whole enough to tell, and of another spool.
bool scan_foreign(const struct scan_file *file, const struct uuid *id);

#endif
