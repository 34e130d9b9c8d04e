// SPDX-License-Identifier: Apache-2.0
// Files that survive a crash: whole reads, and writes that are there completely or not at all
// (temporary file, fsync, rename, fsync of the directory).
#ifndef CXSINK_CORE_FSIO_H
#define CXSINK_CORE_FSIO_H

#include "core/buf.h"
#include "core/status.h"

#include <sys/types.h>

// Reads a whole file of at most `max` bytes (STATUS_FULL beyond) and appends it to `content`, which
// is as before when that fails.
enum status_code fsio_read_file(const char *path, size_t max, struct buf *content,
                                struct status *st) STATUS_MUST_CHECK;
// The rest of what an open file holds, likewise; `path` is for the sentence.
enum status_code fsio_read_fd(int fd, const char *path, size_t max, struct buf *content,
                              struct status *st) STATUS_MUST_CHECK;
// Replaces `path` durably. `mode` as for open(2).
enum status_code fsio_write_file(const char *path, const void *data, size_t length, mode_t mode,
                                 struct status *st) STATUS_MUST_CHECK;
// Writes all of it, going on after short writes and EINTR. STATUS_FULL for ENOSPC and EDQUOT.
enum status_code fsio_write_all(int fd, const void *data, size_t length,
                                struct status *st) STATUS_MUST_CHECK;
// Creates a directory and its missing parents; one that is there is fine.
enum status_code fsio_make_dirs(const char *path, mode_t mode, struct status *st) STATUS_MUST_CHECK;
// Makes creations, renames and removals in a directory durable.
enum status_code fsio_sync_dir(const char *path, struct status *st) STATUS_MUST_CHECK;

#endif
