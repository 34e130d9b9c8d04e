// SPDX-License-Identifier: Apache-2.0
#include "spool/position_priv.h"

#include "spool/crc32c_priv.h"
#include "spool/segment_priv.h"

#include <endian.h>
#include <string.h>

#define FLAG_CLEAN UINT32_C(1)
#define FLAG_RELAXED UINT32_C(2)

// As it is on disk, little-endian.
struct slot {
    char magic[8];
    uint64_t generation;
    unsigned char id[UUID_SIZE];
    uint64_t acked;
    uint64_t next_seq;
    uint32_t flags;
    uint32_t crc; // of all before it
};
_Static_assert(sizeof(struct slot) == 56, "a slot has no padding");

static const char magic[8] = "CXPOS\0\0\x01";

static bool decode(const struct slot *slot, struct position *position_r)
{
    if (memcmp(slot->magic, magic, sizeof magic) != 0 ||
        le32toh(slot->crc) != crc32c(0, slot, offsetof(struct slot, crc)))
        return false;
    uint32_t flags = le32toh(slot->flags);
    position_r->generation = le64toh(slot->generation);
    memcpy(position_r->id.bytes, slot->id, UUID_SIZE);
    position_r->acked = le64toh(slot->acked);
    position_r->next_seq = le64toh(slot->next_seq);
    position_r->clean = (flags & FLAG_CLEAN) != 0;
    position_r->relaxed = (flags & FLAG_RELAXED) != 0;
    return position_r->generation != 0 && position_r->next_seq < SEQ_MAX &&
           position_r->acked < position_r->next_seq;
}

bool position_load(const struct spool_io *io, int fd, struct position *position_r)
{
    position_r->generation = 0;
    for (int i = 0; i < 2; i++) {
        struct slot slot;
        struct position found;
        if (io->pread(fd, &slot, sizeof slot, i * POSITION_SLOT) == sizeof slot &&
            decode(&slot, &found) && found.generation > position_r->generation)
            *position_r = found;
    }
    return position_r->generation != 0;
}

int position_store(const struct spool_io *io, int fd, struct position *position)
{
    uint64_t generation = position->generation + 1;
    struct slot slot = {
        .generation = htole64(generation),
        .acked = htole64(position->acked),
        .next_seq = htole64(position->next_seq),
        .flags =
            htole32((position->clean ? FLAG_CLEAN : 0) | (position->relaxed ? FLAG_RELAXED : 0)),
    };
    memcpy(slot.magic, magic, sizeof magic);
    memcpy(slot.id, position->id.bytes, UUID_SIZE);
    slot.crc = htole32(crc32c(0, &slot, offsetof(struct slot, crc)));
    struct iovec part = {&slot, sizeof slot};
    int error = spool_io_write(io, fd, &part, 1, generation % 2 == 0 ? 0 : POSITION_SLOT);
    if (error == 0)
        position->generation = generation;
    return error;
}
