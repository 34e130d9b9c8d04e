// SPDX-License-Identifier: Apache-2.0
#include "core/backoff.h"

#include "core/clock.h"

#include <sys/random.h>

int64_t backoff_next(struct backoff *b, uint64_t random)
{
    int64_t bound = b->base_us > 0 ? b->base_us : 0;
    for (unsigned i = 0; i < b->attempts && bound > 0 && bound < b->cap_us; i++)
        bound = bound > b->cap_us / 2 ? b->cap_us : bound * 2;
    if (bound > b->cap_us)
        bound = b->cap_us > 0 ? b->cap_us : 0;
    if (b->attempts < UINT32_MAX)
        b->attempts++;
    // The high half of the product maps the word onto [0, bound] without a modulo's bias.
    int64_t delay = (int64_t)(((unsigned __int128)random * ((uint64_t)bound + 1)) >> 64);
    return delay < b->floor_us ? b->floor_us : delay;
}

void backoff_reset(struct backoff *b)
{
    b->attempts = 0;
}

uint64_t backoff_random(void)
{
    uint64_t word;
    if (getrandom(&word, sizeof(word), GRND_NONBLOCK) != (ssize_t)sizeof(word))
        word = (uint64_t)mono_read().us * UINT64_C(0x9e3779b97f4a7c15);
    return word;
}
