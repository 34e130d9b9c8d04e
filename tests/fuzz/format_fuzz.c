// SPDX-License-Identifier: Apache-2.0
// schema/format and event/time over one text: every format has an answer, the same each time, and
// where the C library or another module knows one too, it is the same.
#include "fuzz.h"

#include "core/uuid.h"
#include "event/time.h"
#include "json/text.h"
#include "schema/format_priv.h"

#include <arpa/inet.h>

static void check_addresses(const char *text)
{
    struct in6_addr address;
    size_t length = strlen(text);
    FUZZ_CHECK(format_check(FORMAT_IPV4, text, length) == (inet_pton(AF_INET, text, &address) == 1),
               "%s", text);
    FUZZ_CHECK(format_check(FORMAT_IPV6, text, length) ==
                   (inet_pton(AF_INET6, text, &address) == 1),
               "%s", text);
}

// What is a time of RFC 3339 to the schema can be stored.
static void check_times(const char *text, size_t size)
{
    int64_t us;
    int32_t days;
    bool stored = time_parse_timestamp(text, size, TIME_OFFSET_REQUIRED, &us);
    if (format_check(FORMAT_DATE_TIME, text, size))
        FUZZ_CHECK(stored, "%.*s", (int)size, text);
    if (stored)
        FUZZ_CHECK(time_parse_timestamp(text, size, TIME_OFFSET_OPTIONAL, &us), "%.*s", (int)size,
                   text);
    FUZZ_CHECK(format_check(FORMAT_DATE, text, size) == time_parse_date(text, size, &days), "%.*s",
               (int)size, text);
    time_parse_time(text, size, &us);
}

static void check_same(enum format narrow, enum format wide, const char *text, size_t size)
{
    if (format_check(narrow, text, size))
        FUZZ_CHECK(format_check(wide, text, size), "%s, not %s: %.*s", format_name(narrow),
                   format_name(wide), (int)size, text);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct uuid id;
    char *text = fuzz_copy(data, size), *line = fuzz_text(data, size);

    format_find(text, size);
    if (text_utf8_valid(text, size)) {
        for (int f = FORMAT_DATE_TIME; f <= FORMAT_REGEX; f++) {
            bool ok = format_check((enum format)f, text, size);
            FUZZ_CHECK(format_check((enum format)f, text, size) == ok, "%d", f);
        }
        check_times(text, size);
        check_same(FORMAT_URI, FORMAT_URI_REFERENCE, text, size);
        check_same(FORMAT_URI, FORMAT_IRI, text, size);
        check_same(FORMAT_IRI, FORMAT_IRI_REFERENCE, text, size);
        check_same(FORMAT_HOSTNAME, FORMAT_IDN_HOSTNAME, text, size);
        check_same(FORMAT_EMAIL, FORMAT_IDN_EMAIL, text, size);
        FUZZ_CHECK(format_check(FORMAT_UUID, text, size) == uuid_parse(text, size, &id), "%.*s",
                   (int)size, text);
        if (strlen(line) == size)
            check_addresses(line);
    }
    free(line);
    free(text);
    return 0;
}
