// SPDX-License-Identifier: Apache-2.0
// One file of the drop directory: read without ever waiting, and put away where it stays findable.
#ifndef CXSINK_JOBS_DROP_PRIV_H
#define CXSINK_JOBS_DROP_PRIV_H

#include "core/buf.h"
#include "core/status.h"
#include "jobs/submission.h"

#include <stdbool.h>
#include <sys/stat.h>

// Bytes of a file: what a turn of the loop reads, parses and hands over.
#define DROP_FILE_MAX ((size_t)1 << 20)

// The directories, absolute; owned by struct drop.
struct drop_dirs {
    char *in, *done, *failed;
};

struct drop_file {
    char *name;       // in dirs.in
    struct stat info; // when it was opened
};

// Makes what is missing (0700).
enum status_code drop_dirs_make(const struct drop_dirs *dirs, struct status *st) STATUS_MUST_CHECK;
// Makes moves durable.
enum status_code drop_dirs_sync(const struct drop_dirs *dirs, struct status *st) STATUS_MUST_CHECK;

// Is it a name that is taken: *.json, not hidden?
bool drop_name_fits(const char *name);

// STATUS_NOT_FOUND: it is gone. STATUS_INVALID: it will never do (no regular file, no right to read
// it, too large). Anything else may pass.
enum status_code drop_file_read(const struct drop_dirs *dirs, struct drop_file *file,
                                struct buf *content, struct status *st) STATUS_MUST_CHECK;
// Gives ids to jobs that have none: the same ones whenever this file is read again.
void drop_file_name_jobs(const struct drop_file *file, const struct buf *content,
                         struct submissions *jobs);
// Moves it to done/, or to failed/ with what is wrong (not empty) in NAME.error beside it. A name
// that is taken there gets the time behind it. `name_r` is the one that it has then; owned.
enum status_code drop_file_finish(const struct drop_dirs *dirs, const struct drop_file *file,
                                  const struct buf *errors, char **name_r,
                                  struct status *st) STATUS_MUST_CHECK;

#endif
