// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

struct mono mono_read(void)
{
    return (struct mono){read_us(CLOCK_MONOTONIC)};
}

int64_t wall_read_us(void)
{
    return read_us(CLOCK_REALTIME);
}

void wall_format(int64_t wall_us, char *text, unsigned size)
{
    time_t seconds = (time_t)(wall_us / US_PER_S);
    int64_t rest = wall_us % US_PER_S;
    if (rest < 0) { // before 1970: seconds are rounded down, so that the fraction is not negative
        rest += US_PER_S;
        seconds--;
    }
    int ms = (int)(rest / US_PER_MS);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
             utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}
