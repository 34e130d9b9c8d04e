// SPDX-License-Identifier: Apache-2.0
// See format_priv.h: the table of formats; dates, IP addresses,
// identifiers. URIs are in format_uri.c, names of hosts and mailboxes in format_host.c.
#include "schema/format_priv.h"

#include "schema/ascii_priv.h"
#include "schema/ecma_priv.h"
#include "schema/keywords_priv.h"

#include <stdint.h>
#include <string.h>

struct format_entry {
    const char *name;
    enum format format;
};

static const struct format_entry formats[] = {
    {"date-time", FORMAT_DATE_TIME},
    {"date", FORMAT_DATE},
    {"time", FORMAT_TIME},
    {"duration", FORMAT_DURATION},
    {"email", FORMAT_EMAIL},
    {"idn-email", FORMAT_IDN_EMAIL},
    {"hostname", FORMAT_HOSTNAME},
    {"idn-hostname", FORMAT_IDN_HOSTNAME},
    {"ipv4", FORMAT_IPV4},
    {"ipv6", FORMAT_IPV6},
    {"uuid", FORMAT_UUID},
    {"uri", FORMAT_URI},
    {"uri-reference", FORMAT_URI_REFERENCE},
    {"iri", FORMAT_IRI},
    {"iri-reference", FORMAT_IRI_REFERENCE},
    {"uri-template", FORMAT_URI_TEMPLATE},
    {"json-pointer", FORMAT_JSON_POINTER},
    {"relative-json-pointer", FORMAT_RELATIVE_JSON_POINTER},
    {"regex", FORMAT_REGEX},
};

#define N_FORMATS (sizeof(formats) / sizeof(*formats))

enum format format_find(const char *name, size_t length)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (strlen(formats[i].name) == length && memcmp(formats[i].name, name, length) == 0)
            return formats[i].format;
    return FORMAT_UNKNOWN;
}

const char *format_name(enum format format)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i].format == format)
            return formats[i].name;
    return "unknown";
}

const char *format_nearest(const char *name, size_t length)
{
    struct spelling spelling = {
        .text = name, .length = length, .limit = (unsigned)(length < 9 ? length / 3 : 3) + 1};

    for (size_t i = 0; i < N_FORMATS; i++)
        spelling_offer(&spelling, formats[i].name);
    return spelling.nearest;
}

// --- dates and times -----------------------------------------------------------------------------

// Two digits, or -1.
static int two(const char *p)
{
    return ascii_is_digit(p[0]) && ascii_is_digit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0') : -1;
}

static int days_of_month(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

// full-date, ten bytes.
static bool date_ok(const char *p)
{
    int century = two(p), years = two(p + 2), month = two(p + 5), day = two(p + 8);

    return century >= 0 && years >= 0 && p[4] == '-' && p[7] == '-' && month >= 1 && month <= 12 &&
           day >= 1 && day <= days_of_month(century * 100 + years, month);
}

// time-offset, all of the rest; *minutes_r east of UTC.
static bool offset_ok(const char *p, size_t length, int *minutes_r)
{
    *minutes_r = 0;
    if (length == 1)
        return p[0] == 'Z' || p[0] == 'z';
    if (length != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
        return false;
    int hours = two(p + 1), minutes = two(p + 4);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *minutes_r = (hours * 60 + minutes) * (p[0] == '-' ? -1 : 1);
    return true;
}

// full-time. A second 60 only where UTC has 23:59: RFC 3339 section 5.7.
static bool time_ok(const char *p, size_t length)
{
    int east;

    if (length < 9 || p[2] != ':' || p[5] != ':')
        return false;
    int hour = two(p), minute = two(p + 3), second = two(p + 6);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    size_t at = 8;
    if (p[at] == '.') {
        at++;
        while (at < length && ascii_is_digit(p[at]))
            at++;
        if (at == 9)
            return false;
    }
    if (!offset_ok(p + at, length - at, &east))
        return false;
    return second < 60 || (hour * 60 + minute - east + 2 * 1440) % 1440 == 1439;
}

static bool date_time_ok(const char *p, size_t length)
{
    return length >= 20 && date_ok(p) && (p[10] == 'T' || p[10] == 't') &&
           time_ok(p + 11, length - 11);
}

// A run of "digits unit" in the order of `units`, each unit the next but at the start; at least
// one. RFC 3339 appendix A allows no gap ("P1Y2D").
static bool duration_part(const char **p_r, const char *end, const char *units)
{
    const char *p = *p_r;
    const char *unit = NULL;

    while (p < end && ascii_is_digit(*p)) {
        while (p < end && ascii_is_digit(*p))
            p++;
        const char *found = p < end && *p != '\0' ? strchr(units, *p) : NULL;
        if (found == NULL || (unit != NULL && found != unit + 1))
            return false;
        unit = found;
        p++;
    }
    *p_r = p;
    return unit != NULL;
}

static bool duration_ok(const char *p, size_t length)
{
    const char *end = p + length;

    if (length < 3 || *p++ != 'P')
        return false;
    if (end[-1] == 'W')
        return duration_part(&p, end, "W") && p == end;
    if (*p != 'T' && !duration_part(&p, end, "YMD"))
        return false;
    if (p == end)
        return true;
    return *p++ == 'T' && duration_part(&p, end, "HMS") && p == end;
}

// --- addresses -----------------------------------------------------------------------------------

bool format_ipv4(const char *text, size_t length)
{
    const char *p = text, *end = text + length;

    for (int part = 0; part < 4; part++) {
        int value = 0;
        const char *first = p;
        while (p < end && ascii_is_digit(*p) && p - first < 3)
            value = value * 10 + (*p++ - '0');
        if (p == first || value > 255 || (p - first > 1 && *first == '0'))
            return false;
        if (part < 3 && (p == end || *p++ != '.'))
            return false;
    }
    return p == end;
}

bool format_ipv6(const char *text, size_t length)
{
    const char *p = text, *end = text + length;
    int groups = 0;
    bool gap = false;

    if (length >= 2 && p[0] == ':' && p[1] == ':') {
        gap = true;
        p += 2;
    }
    while (p < end) {
        const char *first = p;
        while (p < end && ascii_is_hex(*p))
            p++;
        if (p < end && *p == '.') {
            groups += 2;
            return format_ipv4(first, (size_t)(end - first)) && (gap ? groups <= 7 : groups == 8);
        }
        if (p == first || p - first > 4)
            return false;
        groups++;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap)
                return false;
            gap = true;
            p++;
        }
    }
    return gap ? groups <= 7 : groups == 8;
}

// --- identifiers ---------------------------------------------------------------------------------

static bool uuid_ok(const char *p, size_t length)
{
    if (length != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? p[i] != '-' : !ascii_is_hex(p[i]))
            return false;
    }
    return true;
}

static bool json_pointer_ok(const char *p, size_t length)
{
    if (length > 0 && p[0] != '/')
        return false;
    for (size_t i = 0; i < length; i++)
        if (p[i] == '~' && (i + 1 == length || (p[i + 1] != '0' && p[i + 1] != '1')))
            return false;
    return true;
}

static bool relative_json_pointer_ok(const char *p, size_t length)
{
    size_t at = 0;

    while (at < length && ascii_is_digit(p[at]))
        at++;
    if (at == 0 || (at > 1 && p[0] == '0'))
        return false;
    return (at + 1 == length && p[at] == '#') || json_pointer_ok(p + at, length - at);
}

static bool regex_ok(const char *p, size_t length)
{
    struct ecma_pattern pattern;
    bool ok = ecma_translate(p, length, &pattern, NULL) == STATUS_OK;

    ecma_deinit(&pattern);
    return ok;
}

bool format_check(enum format format, const char *text, size_t length)
{
    switch (format) {
    case FORMAT_DATE_TIME:
        return date_time_ok(text, length);
    case FORMAT_DATE:
        return length == 10 && date_ok(text);
    case FORMAT_TIME:
        return time_ok(text, length);
    case FORMAT_DURATION:
        return duration_ok(text, length);
    case FORMAT_EMAIL:
    case FORMAT_IDN_EMAIL:
        return format_email(text, length, format == FORMAT_IDN_EMAIL);
    case FORMAT_HOSTNAME:
    case FORMAT_IDN_HOSTNAME:
        return format_hostname(text, length, format == FORMAT_IDN_HOSTNAME);
    case FORMAT_IPV4:
        return format_ipv4(text, length);
    case FORMAT_IPV6:
        return format_ipv6(text, length);
    case FORMAT_UUID:
        return uuid_ok(text, length);
    case FORMAT_URI:
    case FORMAT_URI_REFERENCE:
        return format_uri(text, length, format == FORMAT_URI_REFERENCE, false);
    case FORMAT_IRI:
    case FORMAT_IRI_REFERENCE:
        return format_uri(text, length, format == FORMAT_IRI_REFERENCE, true);
    case FORMAT_URI_TEMPLATE:
        return format_uri_template(text, length);
    case FORMAT_JSON_POINTER:
        return json_pointer_ok(text, length);
    case FORMAT_RELATIVE_JSON_POINTER:
        return relative_json_pointer_ok(text, length);
    case FORMAT_REGEX:
        return regex_ok(text, length);
    case FORMAT_UNKNOWN:
        break;
    }
    return false;
}
