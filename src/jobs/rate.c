// SPDX-License-Identifier: Apache-2.0
// The generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling): `next_us` is when the
// next request would be due at an even pace; it may come up to one period earlier.
#include "jobs/rate.h"

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t pace(const struct rate *r)
{
    return r->limit > 0 ? r->period_us / r->limit : 0;
}

void rate_init(struct rate *r, unsigned limit, int64_t period_us)
{
    *r = (struct rate){.limit = limit, .period_us = period_us};
}

int64_t rate_wait(const struct rate *r, int64_t now_us)
{
    int64_t earliest = r->limit > 0 ? r->next_us - (r->period_us - pace(r)) : 0;
    return max(max(earliest, r->held_until_us) - now_us, 0);
}

int64_t rate_take(struct rate *r, int64_t now_us)
{
    int64_t wait = rate_wait(r, now_us);
    if (wait == 0)
        r->next_us = max(r->next_us, now_us) + pace(r);
    return wait;
}

void rate_hold(struct rate *r, int64_t until_us)
{
    r->held_until_us = max(r->held_until_us, until_us);
}
