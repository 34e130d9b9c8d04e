// SPDX-License-Identifier: Apache-2.0
// Tables of strings known at compile time. A multiplier is searched for that sends every string to
// a slot of its own, in the smallest table of up to four times the least size; failing that, the
// best one found is used and a search looks at neighbouring slots as well.
#include "schema/compile_priv.h"

#include "core/hash.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 256
// Of more names than these some clash under every multiplier: few are tried, in the least table.
#define FEW_NAMES 256
#define TRIES_OF_MANY 8

// Multipliers to try: odd, well spread (the steps of a Weyl sequence, mixed).
static uint64_t multiplier(unsigned try)
{
    uint64_t z = (try + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (z ^ z >> 27) | 1;
}

static unsigned tries_for(uint32_t n)
{
    return n <= FEW_NAMES ? TRIES : TRIES_OF_MANY;
}

// How many sizes of table are tried, each twice the one before.
static unsigned sizes_for(uint32_t n)
{
    return n <= FEW_NAMES ? 3 : 1;
}

static unsigned bits_for(uint32_t n)
{
    unsigned bits = 1;

    while ((UINT32_C(1) << bits) < n * 2)
        bits++;
    return bits;
}

static void put_name(struct name *slots, const struct name_set *set, const struct name *name)
{
    uint32_t slot = name_slot(name->first, name->last, name->length, set);

    while (slots[slot].text != NULL)
        slot = (slot + 1) & set->mask;
    slots[slot] = *name;
}

// Names that do not get the slot they hash to.
static uint32_t count_name_clashes(const struct name_set *set, const struct name *names, uint32_t n,
                                   uint8_t *used)
{
    uint32_t clashes = 0;

    memset(used, 0, (size_t)set->mask + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = name_slot(names[i].first, names[i].last, names[i].length, set);
        clashes += used[slot];
        used[slot] = 1;
    }
    return clashes;
}

// Names of which too many are alike in their length and their first and last eight bytes.
static const struct name *hash_names(struct arena *arena, const struct name *names, uint32_t n)
{
    struct name *hashed = arena_alloc(arena, n, sizeof(*hashed));

    for (uint32_t i = 0; i < n; i++) {
        hashed[i] = names[i];
        hashed[i].first = hash_bytes(names[i].text, names[i].length, 0);
        hashed[i].last = 0;
    }
    return hashed;
}

void names_make_set(struct arena *arena, const struct name *names, uint32_t n,
                    struct name_set *set_r)
{
    struct name_set best = {0};
    uint32_t least = UINT32_MAX;
    unsigned bits = bits_for(n);
    uint8_t *used = mem_alloc((size_t)1 << (bits + sizes_for(n)));

    for (unsigned more = 0; more < sizes_for(n) && least > 0; more++)
        for (unsigned try = 0; try < tries_for(n) && least > 0; try++) {
            struct name_set set = {.multiplier = multiplier(try),
                                   .shift = 64 - (bits + more),
                                   .mask = (UINT32_C(1) << (bits + more)) - 1};
            uint32_t clashes = count_name_clashes(&set, names, n, used);
            if (clashes < least) {
                least = clashes;
                best = set;
            }
        }
    free(used);
    if (least > 8 && least > n / 2) {
        best.hashed = true;
        names = hash_names(arena, names, n);
    }
    struct name *slots = arena_alloc(arena, (size_t)best.mask + 1, sizeof(*slots));
    for (uint32_t i = 0; i < n; i++)
        put_name(slots, &best, &names[i]);
    best.slots = slots;
    *set_r = best;
}

static uint32_t count_property_clashes(const struct object *object,
                                       const struct property *properties, uint32_t n, uint8_t *used)
{
    uint32_t clashes = 0;

    memset(used, 0, (size_t)object->mask + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = property_slot(properties[i].hash, object);
        clashes += used[slot];
        used[slot] = 1;
    }
    return clashes;
}

void names_make_properties(struct arena *arena, const struct property *properties, uint32_t n,
                           struct object *object)
{
    struct object best = *object;
    uint32_t least = UINT32_MAX;
    unsigned bits = bits_for(n);
    uint8_t *used = mem_alloc((size_t)1 << (bits + sizes_for(n)));

    for (unsigned more = 0; more < sizes_for(n) && least > 0; more++)
        for (unsigned try = 0; try < tries_for(n) && least > 0; try++) {
            struct object some = *object;
            some.multiplier = (uint32_t)multiplier(try);
            some.shift = 32 - (bits + more);
            some.mask = (UINT32_C(1) << (bits + more)) - 1;
            uint32_t clashes = count_property_clashes(&some, properties, n, used);
            if (clashes < least) {
                least = clashes;
                best = some;
            }
        }
    free(used);
    struct property *slots = arena_alloc(arena, (size_t)best.mask + 1, sizeof(*slots));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = property_slot(properties[i].hash, &best);
        while (slots[slot].text != NULL)
            slot = (slot + 1) & best.mask;
        slots[slot] = properties[i];
    }
    best.slots = slots;
    *object = best;
}
