// SPDX-License-Identifier: Apache-2.0
#include "sink/guard.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

// A window that is not full yet is judged by this many events, and by a tenth of its size.
#define SEEN_LEAST 20

void guard_init(struct guard *g, double share, unsigned events)
{
    guard_deinit(g);
    if (share <= 0 || events == 0)
        return;
    g->share = share;
    g->size = events;
    g->bits = mem_zalloc((events + 63) / 64 * sizeof(*g->bits));
}

void guard_deinit(struct guard *g)
{
    free(g->bits);
    *g = (struct guard){0};
}

void guard_reset(struct guard *g, bool open)
{
    g->at = g->seen = g->refused = 0;
    g->open = open && g->size != 0;
    if (g->bits != NULL)
        memset(g->bits, 0, (g->size + 63) / 64 * sizeof(*g->bits));
}

static bool too_many(const struct guard *g, double refused, double seen)
{
    return refused > g->share * seen;
}

// How many are enough to judge by.
static unsigned enough(const struct guard *g)
{
    unsigned least = g->size < SEEN_LEAST ? g->size : SEEN_LEAST;
    return g->size / 10 > least ? g->size / 10 : least;
}

// What falls out of the window is taken for as bad as the window: exact before it is full, and for
// a batch as large as it.
bool guard_trips(const struct guard *g, uint64_t events, uint64_t refused)
{
    if (g->size == 0 || g->open || refused == 0)
        return false;
    double room = g->size;
    double all = (double)events;
    double seen = g->seen;
    if (all >= room)
        return too_many(g, (double)refused, all);
    if (seen + all < enough(g))
        return false;
    double kept = seen + all > room ? room - all : seen;
    double old = seen > 0 ? g->refused * (kept / seen) : 0;
    return too_many(g, old + (double)refused, kept + all);
}

static void put(struct guard *g, bool refused)
{
    uint64_t bit = UINT64_C(1) << (g->at % 64);
    uint64_t *word = &g->bits[g->at / 64];
    if (g->seen == g->size)
        g->refused -= (*word & bit) != 0;
    else
        g->seen++;
    *word = refused ? *word | bit : *word & ~bit;
    g->refused += refused;
    g->at = g->at + 1 == g->size ? 0 : g->at + 1;
}

static void put_all(struct guard *g, uint64_t events, uint64_t refused)
{
    // Only the last `size` of a larger batch stay: as many refused in proportion.
    if (events > g->size) {
        refused = (uint64_t)((double)refused * g->size / (double)events);
        events = g->size;
    }
    for (uint64_t i = 0; i < events; i++)
        put(g, (i + 1) * refused / events > i * refused / events);
}

void guard_count(struct guard *g, uint64_t events, uint64_t refused)
{
    if (g->size == 0 || events == 0)
        return;
    if (refused == 0 && g->refused == 0) { // all bits are zeros, and stay so
        g->seen = events < g->size - g->seen ? g->seen + (unsigned)events : g->size;
    } else {
        put_all(g, events, refused);
    }
    if (g->open && g->seen == g->size && !too_many(g, g->refused, g->seen))
        g->open = false;
}
