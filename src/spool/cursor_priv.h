// SPDX-License-Identifier: Apache-2.0
// Walks the records of one segment file from front to back through a bounded buffer, over damaged
// places to the next whole record. Every step gets further, or says that it cannot; what a file
// holds can neither stop it nor make it go on for ever.
#ifndef CXSINK_SPOOL_CURSOR_PRIV_H
#define CXSINK_SPOOL_CURSOR_PRIV_H

#include "core/uuid.h"
#include "spool/io_priv.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of the buffer; it is larger only while a larger record is in it.
#define CURSOR_BUFFER (UINT32_C(256) << 10)

struct cursor {
    const struct spool_io *io;
    struct uuid id;  // of the spool
    uint32_t seed;   // record_seed(id)
    unsigned tries;  // failed reads of one place before it counts as damaged
    int fd;          // owned; -1: closed
    uint64_t offset; // of the next byte to look at
    uint64_t limit;  // of the file: bytes that may be looked at; set by the user, may grow
    char *buffer;    // owned; holds the file's bytes from `offset` on in [start, end)
    size_t start, end, cap;
    unsigned failed; // reads that failed at this place
    bool unreadable; // some place could not be read and was taken for zeros
};

enum cursor_step { CURSOR_RECORD, CURSOR_DAMAGE, CURSOR_END, CURSOR_FAILED };

// What a step found. `offset` and `bytes` say where, for CURSOR_RECORD and CURSOR_DAMAGE.
struct cursor_item {
    uint64_t offset;
    uint64_t bytes;
    const char *what;           // CURSOR_DAMAGE: in words
    int error;                  // CURSOR_FAILED: errno of the read; the same step may be tried
    struct spool_record record; // CURSOR_RECORD: points into the buffer until the next step
};

void cursor_init(struct cursor *cursor, const struct spool_io *io, const struct uuid *id,
                 unsigned tries);
void cursor_deinit(struct cursor *cursor);
// Starts on a file, which it owns from now on, at `offset`: 0, or where a record begins.
void cursor_start(struct cursor *cursor, int fd, uint64_t offset, uint64_t limit);
// Closes the file; the buffer stays for the next one.
void cursor_close(struct cursor *cursor);
enum cursor_step cursor_next(struct cursor *cursor, struct cursor_item *item_r);

#endif
