// SPDX-License-Identifier: Apache-2.0
// See index_priv.h: open addressing, at most half full.
#include "schema/index_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static void put(struct index *index, struct index_slot slot)
{
    size_t at = slot.hash & (index->cap - 1);

    while (index->slots[at].value != INDEX_NONE)
        at = (at + 1) & (index->cap - 1);
    index->slots[at] = slot;
}

static void grow(struct index *index)
{
    struct index old = *index;

    index->cap = old.cap == 0 ? 16 : old.cap * 2;
    index->slots = mem_realloc_array(NULL, index->cap, sizeof(*index->slots));
    memset(index->slots, 0xff, index->cap * sizeof(*index->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != INDEX_NONE)
            put(index, old.slots[i]);
    free(old.slots);
}

void index_put(struct index *index, uint64_t hash, uint32_t value)
{
    if (index->n * 2 >= index->cap)
        grow(index);
    put(index, (struct index_slot){hash, value});
    index->n++;
}

uint32_t index_next(const struct index *index, uint64_t hash, size_t *at)
{
    if (index->cap == 0)
        return INDEX_NONE;
    for (;; ++*at) {
        const struct index_slot *slot = &index->slots[*at & (index->cap - 1)];
        if (slot->value == INDEX_NONE || slot->hash == hash) {
            ++*at;
            return slot->value;
        }
    }
}

void index_deinit(struct index *index)
{
    free(index->slots);
    *index = (struct index){0};
}
