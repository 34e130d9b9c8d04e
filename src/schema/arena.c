// SPDX-License-Identifier: Apache-2.0
// See arena_priv.h: chunks in a list, each piece cut from the newest.
#include "schema/arena_priv.h"

#include "core/mem.h"

#include <stdint.h>
#include <stdlib.h>

#define ARENA_CHUNK 8192
#define ARENA_ALIGN 16

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(ARENA_ALIGN) char data[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    size_t need;

    if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
        abort(); // sizes are bounded by the schema's text: never
    need = (need + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (chunk == NULL || arena->size - arena->used < need) {
        size_t room = need > ARENA_CHUNK ? need : ARENA_CHUNK;
        chunk = mem_zalloc(sizeof(*chunk) + room);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->size = room;
        arena->used = 0;
    }
    void *piece = chunk->data + arena->used;
    arena->used += need;
    return piece;
}

void arena_deinit(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (struct arena){0};
}
