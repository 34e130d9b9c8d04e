// SPDX-License-Identifier: Apache-2.0
#include "jobs/breaker.h"

void breaker_init(struct breaker *b, unsigned threshold, int64_t reset_us)
{
    *b = (struct breaker){.threshold = threshold, .reset_us = reset_us};
}

bool breaker_allows(struct breaker *b, int64_t now_us)
{
    if (b->state == BREAKER_OPEN && now_us >= breaker_reopens_at(b))
        b->state = BREAKER_HALF_OPEN;
    return b->state == BREAKER_CLOSED || (b->state == BREAKER_HALF_OPEN && !b->probing);
}

bool breaker_begin(struct breaker *b)
{
    b->probing = b->state == BREAKER_HALF_OPEN;
    return b->probing;
}

static void succeed(struct breaker *b)
{
    b->state = BREAKER_CLOSED;
    b->failures = 0;
}

static void fail(struct breaker *b, bool probe, int64_t now_us)
{
    b->failures++;
    if (!probe && b->failures < b->threshold)
        return;
    b->state = BREAKER_OPEN;
    b->opened_at_us = now_us;
}

// What was sent before the breaker opened says nothing any more: only the probe decides then.
bool breaker_end(struct breaker *b, bool probe, bool failed, int64_t now_us)
{
    enum breaker_state before = b->state;
    if (probe)
        b->probing = false;
    if (b->state != BREAKER_CLOSED && !probe)
        return false;
    if (failed)
        fail(b, probe, now_us);
    else
        succeed(b);
    return b->state != before;
}

void breaker_abandon(struct breaker *b, bool probe)
{
    if (probe)
        b->probing = false;
}

int64_t breaker_reopens_at(const struct breaker *b)
{
    return b->state == BREAKER_OPEN ? b->opened_at_us + b->reset_us : 0;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {"closed", "half_open", "open"};
    return names[state];
}
