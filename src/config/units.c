// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

// Ascending, so that formatting finds the largest one that divides the value from the end.
static const struct unit durations[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"m", UINT64_C(60) * 1000000},
    {"h", UINT64_C(3600) * 1000000},
    {"d", UINT64_C(86400) * 1000000},
};

static const struct unit sizes[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};

static const struct unit decimal_sizes[] = {
    {"", 1}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", UINT64_C(1000000000000)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct unit *find(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    }
    return NULL;
}

// The digits that `text` begins with; what follows them is at *rest_r.
static bool parse_digits(const char *text, uint64_t *value_r, const char **rest_r)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *value_r = value;
    *rest_r = p;
    return p != text;
}

static bool scale(uint64_t value, const struct unit *unit, uint64_t *scaled_r)
{
    return unit != NULL && !__builtin_mul_overflow(value, unit->factor, scaled_r) &&
           *scaled_r <= INT64_MAX;
}

bool units_duration_parse(const char *text, int64_t *us_r)
{
    uint64_t value;
    const char *unit;
    if (!parse_digits(text, &value, &unit) ||
        !scale(value, find(durations, COUNT(durations), unit), &value))
        return false;
    *us_r = (int64_t)value;
    return true;
}

bool units_size_parse(const char *text, uint64_t *bytes_r)
{
    uint64_t value;
    const char *name;
    if (!parse_digits(text, &value, &name))
        return false;
    const struct unit *unit = find(sizes, COUNT(sizes), name);
    if (unit == NULL)
        unit = find(decimal_sizes, COUNT(decimal_sizes), name);
    return scale(value, unit, bytes_r);
}

static void format(uint64_t value, const struct unit *units, size_t count, size_t zero,
                   char text[UNITS_TEXT_SIZE])
{
    size_t i = value == 0 ? zero : count - 1;
    while (value % units[i].factor != 0)
        i--;
    snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

void units_duration_format(int64_t us, char text[UNITS_TEXT_SIZE])
{
    format((uint64_t)us, durations, COUNT(durations), 2, text);
}

void units_size_format(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
    format(bytes, sizes, COUNT(sizes), 0, text);
}
