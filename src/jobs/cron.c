// SPDX-License-Identifier: Apache-2.0
#include "jobs/cron.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

struct field {
    const char *name;
    unsigned min, max;
    const char *const *names; // of the values from `min` on; NULL: none
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of the month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, month_names},
    [WEEKDAY] = {"day of the week", 0, 7, weekday_names},
};

static const struct {
    const char *name, *text;
} nicknames[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

// One field being read.
struct reader {
    const struct field *field;
    const char *at;
    struct status *st;
};

static enum status_code fault(const struct reader *r, const char *what)
{
    return status_set(r->st, STATUS_INVALID,
                      "the %s field: %s (%u to %u%s%s, lists, ranges, steps)", r->field->name, what,
                      r->field->min, r->field->max,
                      r->field->names != NULL ? ", names such as " : "",
                      r->field->names != NULL ? r->field->names[0] : "");
}

// --- one field -----------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum status_code read_number(struct reader *r, unsigned *value_r)
{
    unsigned value = 0;
    if (!is_digit(*r->at))
        return fault(r, "a number is missing");
    for (; is_digit(*r->at); r->at++) {
        value = value * 10 + (unsigned)(*r->at - '0');
        if (value > 1000)
            return fault(r, "a number is too large");
    }
    *value_r = value;
    return STATUS_OK;
}

static enum status_code read_name(struct reader *r, unsigned *value_r)
{
    size_t length = 0;
    while (is_letter(r->at[length]))
        length++;
    for (unsigned i = 0; r->field->names != NULL && r->field->names[i] != NULL; i++) {
        if (length == 3 && strncasecmp(r->field->names[i], r->at, 3) == 0) {
            r->at += length;
            *value_r = r->field->min + i;
            return STATUS_OK;
        }
    }
    return fault(r, "a name is not known");
}

static enum status_code read_value(struct reader *r, unsigned *value_r)
{
    enum status_code code = is_letter(*r->at) ? read_name(r, value_r) : read_number(r, value_r);
    if (code == STATUS_OK && (*value_r < r->field->min || *value_r > r->field->max))
        return fault(r, "a value is out of range");
    return code;
}

// "*", "5" or "5-10" as its two ends; "5/10" reaches to the field's end.
static enum status_code read_range(struct reader *r, unsigned *first_r, unsigned *last_r)
{
    *first_r = r->field->min;
    *last_r = r->field->max;
    if (*r->at == '*') {
        r->at++;
        return STATUS_OK;
    }
    enum status_code code = read_value(r, first_r);
    if (code != STATUS_OK)
        return code;
    if (*r->at == '/')
        return STATUS_OK;
    *last_r = *first_r;
    if (*r->at != '-')
        return STATUS_OK;
    r->at++;
    code = read_value(r, last_r);
    if (code == STATUS_OK && *last_r < *first_r)
        return fault(r, "a range ends before it begins");
    return code;
}

static enum status_code read_element(struct reader *r, uint64_t *set)
{
    unsigned first, last, step = 1;
    enum status_code code = read_range(r, &first, &last);
    if (code == STATUS_OK && *r->at == '/') {
        r->at++;
        code = read_number(r, &step);
        if (code == STATUS_OK && step == 0)
            return fault(r, "a step is 0");
    }
    if (code != STATUS_OK)
        return code;
    for (unsigned i = first; i <= last; i += step)
        *set |= UINT64_C(1) << i;
    return STATUS_OK;
}

static bool ends_field(char c)
{
    return c == '\0' || strchr(BLANKS, c) != NULL;
}

static enum status_code read_field(struct reader *r, uint64_t *set_r)
{
    *set_r = 0;
    for (;;) {
        enum status_code code = read_element(r, set_r);
        if (code != STATUS_OK)
            return code;
        if (ends_field(*r->at))
            return STATUS_OK;
        if (*r->at != ',')
            return fault(r, "something stands in it that does not belong there");
        r->at++;
    }
}

// --- the whole -----------------------------------------------------------------------------------

static const char *expand(const char *text)
{
    for (size_t i = 0; i < sizeof(nicknames) / sizeof(nicknames[0]); i++) {
        if (strcasecmp(nicknames[i].name, text) == 0)
            return nicknames[i].text;
    }
    return text;
}

// A day that no month of the set has; a weekday that is asked for as well does not help, unless
// either will do.
static bool never_comes(const struct cron *cron)
{
    static const unsigned last_days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (cron->either_day)
        return false;
    for (unsigned month = 1; month <= 12; month++) {
        uint32_t days = (UINT32_C(2) << last_days[month]) - 2; // 0 where that is 2^32 - 2
        if ((cron->months >> month & 1) != 0 && (cron->days & days) != 0)
            return false;
    }
    return true;
}

static void fill(struct cron *cron, const uint64_t sets[FIELDS], const bool stars[FIELDS])
{
    uint64_t weekdays = sets[WEEKDAY];
    if ((weekdays >> 7 & 1) != 0)
        weekdays |= 1;
    *cron = (struct cron){
        .minutes = sets[MINUTE],
        .hours = (uint32_t)sets[HOUR],
        .days = (uint32_t)sets[DAY],
        .months = (uint32_t)sets[MONTH],
        .weekdays = (uint32_t)(weekdays & 0x7f),
        .either_day = !stars[DAY] && !stars[WEEKDAY],
    };
}

enum status_code cron_parse(const char *text, struct cron *cron_r, struct status *st)
{
    uint64_t sets[FIELDS];
    bool stars[FIELDS];
    struct reader r = {.st = st};
    text += strspn(text, BLANKS);
    r.at = expand(text);
    if (*r.at == '@')
        return status_set(
            st, STATUS_INVALID,
            "the nickname is not known (@hourly, @daily, @weekly, @monthly, @yearly)");
    for (unsigned i = 0; i < FIELDS; i++) {
        r.field = &fields[i];
        r.at += strspn(r.at, BLANKS);
        if (*r.at == '\0')
            return status_set(st, STATUS_INVALID,
                              "the %s field is missing: an expression has five (minute, hour, day, "
                              "month, day of the week)",
                              r.field->name);
        stars[i] = *r.at == '*';
        enum status_code code = read_field(&r, &sets[i]);
        if (code != STATUS_OK)
            return code;
    }
    r.at += strspn(r.at, BLANKS);
    if (*r.at != '\0')
        return status_set(st, STATUS_INVALID,
                          "something follows the fifth field: an expression has five (minute, "
                          "hour, day, month, day of the week)");
    fill(cron_r, sets, stars);
    if (never_comes(cron_r))
        return status_set(st, STATUS_INVALID,
                          "its days are in none of its months: it would never come");
    return STATUS_OK;
}
