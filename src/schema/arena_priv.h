// SPDX-License-Identifier: Apache-2.0
// Memory that lives and dies with a schema: many small pieces, never moved, freed at once.
#ifndef CXSINK_SCHEMA_ARENA_PRIV_H
#define CXSINK_SCHEMA_ARENA_PRIV_H

#include <stddef.h>

struct arena_chunk;

// Zeros: empty.
struct arena {
    struct arena_chunk *chunks;
    size_t used, size; // of the newest chunk
};

// Zeroed memory, aligned for anything.
void *arena_alloc(struct arena *arena, size_t count, size_t size);
void arena_deinit(struct arena *arena);

#endif
