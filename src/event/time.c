// SPDX-License-Identifier: Apache-2.0
#include "event/time.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)

// Reads along a text; the first mismatch makes it bad for good.
struct reader {
    const char *p;
    const char *end;
    bool bad;
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static int32_t number(struct reader *r, int n_digits)
{
    int32_t value = 0;
    for (int i = 0; i < n_digits; i++) {
        if (r->p == r->end || !is_digit(*r->p)) {
            r->bad = true;
            return 0;
        }
        value = value * 10 + (*r->p++ - '0');
    }
    return value;
}

static bool next_is(const struct reader *r, char c)
{
    return !r->bad && r->p < r->end && *r->p == c;
}

static void expect(struct reader *r, char c)
{
    if (next_is(r, c))
        r->p++;
    else
        r->bad = true;
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

// Days since 2000-01-01 in the proleptic Gregorian calendar. Counted in years that begin in March,
// so that the leap day comes last; 730425 is 2000-01-01 counted from 0000-03-01.
static int32_t days_from_date(int32_t year, int32_t month, int32_t day)
{
    int32_t y = month > 2 ? year : year - 1;
    int32_t m = month > 2 ? month - 3 : month + 9;
    int32_t era = y >= 0 ? y / 400 : -1; // year 0000 begins in the era before
    int32_t of_era = y - era * 400;
    int32_t day_of_year = (153 * m + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 730425;
}

static int32_t read_date(struct reader *r)
{
    int32_t year = number(r, 4);
    expect(r, '-');
    int32_t month = number(r, 2);
    expect(r, '-');
    int32_t day = number(r, 2);
    if (r->bad || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) {
        r->bad = true;
        return 0;
    }
    return days_from_date(year, month, day);
}

// Digits behind the point, rounded to microseconds.
static int64_t read_fraction(struct reader *r)
{
    int64_t value = 0;
    int n = 0;
    for (; r->p < r->end && is_digit(*r->p); r->p++, n++) {
        if (n < 6)
            value = value * 10 + (*r->p - '0');
        else if (n == 6 && *r->p >= '5')
            value++;
    }
    if (n == 0)
        r->bad = true;
    for (; n < 6; n++)
        value *= 10;
    return value;
}

static int64_t read_time(struct reader *r)
{
    int32_t hour = number(r, 2);
    expect(r, ':');
    int32_t minute = number(r, 2);
    expect(r, ':');
    int32_t second = number(r, 2);
    if (hour > 23 || minute > 59 || second > 60)
        r->bad = true;
    int64_t us = ((hour * 60 + minute) * 60 + second) * US_PER_SECOND;
    if (next_is(r, '.')) {
        r->p++;
        us += read_fraction(r);
    }
    return us;
}

// Microseconds east of UTC.
static int64_t read_offset(struct reader *r)
{
    if (next_is(r, 'Z') || next_is(r, 'z')) {
        r->p++;
        return 0;
    }
    bool west = next_is(r, '-');
    if (west)
        r->p++;
    else
        expect(r, '+');
    int32_t hours = number(r, 2);
    expect(r, ':');
    int32_t minutes = number(r, 2);
    if (hours > 23 || minutes > 59)
        r->bad = true;
    int64_t us = (hours * 60 + minutes) * 60 * US_PER_SECOND;
    return west ? -us : us;
}

static bool at_end(const struct reader *r)
{
    return !r->bad && r->p == r->end;
}

bool time_parse_timestamp(const char *text, size_t length, enum time_offset offset,
                          int64_t *microseconds_r)
{
    struct reader r = {.p = text, .end = text + length};
    int64_t us = read_date(&r) * US_PER_DAY;
    if (next_is(&r, 't') || (offset == TIME_OFFSET_OPTIONAL && next_is(&r, ' ')))
        r.p++;
    else
        expect(&r, 'T');
    us += read_time(&r);
    if (offset == TIME_OFFSET_REQUIRED || r.p < r.end)
        us -= read_offset(&r);
    *microseconds_r = us;
    return at_end(&r);
}

bool time_parse_date(const char *text, size_t length, int32_t *days_r)
{
    struct reader r = {.p = text, .end = text + length};
    *days_r = read_date(&r);
    return at_end(&r);
}

bool time_parse_time(const char *text, size_t length, int64_t *microseconds_r)
{
    struct reader r = {.p = text, .end = text + length};
    *microseconds_r = read_time(&r);
    return at_end(&r) && *microseconds_r <= US_PER_DAY;
}
