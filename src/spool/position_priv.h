// SPDX-License-Identifier: Apache-2.0
// The file "position": how far the spool is acknowledged. Two slots, written in turn, each with a
// generation and a CRC: a torn write leaves the other one. It may be behind the truth, never ahead.
#ifndef CXSINK_SPOOL_POSITION_PRIV_H
#define CXSINK_SPOOL_POSITION_PRIV_H

#include "core/uuid.h"
#include "spool/io_priv.h"

#include <stdbool.h>
#include <stdint.h>

#define POSITION_FILE "position"
// Bytes from one slot to the next, a sector; the file holds two.
#define POSITION_SLOT 512

struct position {
    uint64_t generation; // of the slot it came from; 0: none
    struct uuid id;      // of the spool
    uint64_t acked;
    uint64_t next_seq; // no number from here on was ever readable when it was stored
    bool clean;        // stored by an orderly close, everything synced
    bool relaxed;      // records may have been readable before they were synced
};

// The newer valid slot of the file; false when there is none.
bool position_load(const struct spool_io *io, int fd, struct position *position_r);
// Writes to the slot of the next generation, and counts `generation` up. Not synced. 0 or an errno.
int position_store(const struct spool_io *io, int fd, struct position *position);

#endif
