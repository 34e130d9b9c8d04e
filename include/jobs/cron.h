// SPDX-License-Identifier: Apache-2.0
// Five-field cron expressions (POSIX crontab, with names, steps, ranges, lists, and @hourly,
// @daily, @weekly, @monthly, @yearly). Pure. The next time is found by cxsink.cron_next() in the
// database, which knows the time zones.
#ifndef CXSINK_JOBS_CRON_H
#define CXSINK_JOBS_CRON_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

// Bit n stands for the value n.
struct cron {
    uint64_t minutes;  // 0 to 59
    uint32_t hours;    // 0 to 23
    uint32_t days;     // 1 to 31
    uint32_t months;   // 1 to 12
    uint32_t weekdays; // 0 to 6, Sunday first; 7 is taken as 0
    // Neither day field begins with "*": a time matches when either of them does.
    bool either_day;
};

// STATUS_INVALID with a sentence that names the field; also for what never comes (30 February).
enum status_code cron_parse(const char *text, struct cron *cron_r,
                            struct status *st) STATUS_MUST_CHECK;

#endif
