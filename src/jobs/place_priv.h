// SPDX-License-Identifier: Apache-2.0
// Files that jobs name: where they may be.
#ifndef CXSINK_JOBS_PLACE_PRIV_H
#define CXSINK_JOBS_PLACE_PRIV_H

#include "core/status.h"

#include <stdint.h>

// Opens a regular file for reading, below the directory `dir` (NULL: anywhere) with every symbolic
// link resolved. -1 with STATUS_INVALID (not absolute, not below, no regular file),
// STATUS_NOT_FOUND, STATUS_DENIED or STATUS_IO.
int place_open(const char *path, const char *dir, uint64_t *size_r,
               struct status *st) STATUS_MUST_CHECK;

#endif
