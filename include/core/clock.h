// SPDX-License-Identifier: Apache-2.0
// Two kinds of time, which never mix: monotonic for deadlines and ages, wall for what is stored
// and shown. Microseconds, signed 64 bits.
#ifndef CXSINK_CORE_CLOCK_H
#define CXSINK_CORE_CLOCK_H

#include <stdint.h>

// A point on CLOCK_MONOTONIC. A struct, so that it is never taken for a duration or a date.
struct mono {
    int64_t us;
};

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)

// Reads the clock. Within a loop turn use loop_now(), which is read once a turn.
struct mono mono_read(void);
// Microseconds since 1970-01-01T00:00:00Z.
int64_t wall_read_us(void);
// Writes RFC 3339 in UTC with milliseconds ("2026-01-02T03:04:05.678Z"); `size` at least 25.
void wall_format(int64_t wall_us, char *text, unsigned size);

static inline struct mono mono_add(struct mono t, int64_t us)
{
    return (struct mono){t.us + us};
}

// a - b in microseconds.
static inline int64_t mono_diff(struct mono a, struct mono b)
{
    return a.us - b.us;
}

#endif
