// SPDX-License-Identifier: Apache-2.0
// Dates and times in ISO 8601's extended form to PostgreSQL's binary ones: days or microseconds
// since 2000-01-01.
#ifndef CXSINK_EVENT_TIME_H
#define CXSINK_EVENT_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum time_offset {
    TIME_OFFSET_REQUIRED, // RFC 3339 section 5.6: 'T', seconds, an offset
    TIME_OFFSET_OPTIONAL, // also a space for the 'T', also no offset; one that is there is applied
};

// Any number of fractional digits is taken and rounded to microseconds; second 60 is the next
// minute's first; 'T' and 'Z' may be lower case. Years are 0000 (1 BC) to 9999.
bool time_parse_timestamp(const char *text, size_t length, enum time_offset offset,
                          int64_t *microseconds_r);
// YYYY-MM-DD
bool time_parse_date(const char *text, size_t length, int32_t *days_r);
// HH:MM:SS with an optional fraction. 23:59:60 is 24:00:00, as in PostgreSQL.
bool time_parse_time(const char *text, size_t length, int64_t *microseconds_r);

#endif
