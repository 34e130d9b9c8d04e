// SPDX-License-Identifier: Apache-2.0
#include "core/status.h"

#include <stdio.h>
#include <string.h>

const char *status_code_name(enum status_code code)
{
    static const char *const names[] = {
        [STATUS_OK] = "ok",
        [STATUS_INVALID] = "invalid",
        [STATUS_NOT_FOUND] = "not_found",
        [STATUS_DENIED] = "denied",
        [STATUS_FULL] = "full",
        [STATUS_IO] = "io",
        [STATUS_CORRUPT] = "corrupt",
        [STATUS_TIMEOUT] = "timeout",
        [STATUS_UNAVAILABLE] = "unavailable",
        [STATUS_BUSY] = "busy",
        [STATUS_INTERNAL] = "internal",
    };
    if ((size_t)code >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[code];
}

// Marks a sentence that did not fit.
static void end_cut(char *detail, int wanted)
{
    if (wanted >= STATUS_DETAIL_MAX)
        memcpy(detail + STATUS_DETAIL_MAX - 4, "...", 4);
}

enum status_code status_set(struct status *st, enum status_code code, const char *format, ...)
{
    if (st == NULL)
        return code;
    va_list args;
    va_start(args, format);
    st->code = code;
    end_cut(st->detail, vsnprintf(st->detail, sizeof(st->detail), format, args));
    va_end(args);
    return code;
}

enum status_code status_set_errno(struct status *st, enum status_code code, int error,
                                  const char *format, ...)
{
    if (st == NULL)
        return code;
    va_list args;
    va_start(args, format);
    char what[STATUS_DETAIL_MAX];
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    char reason[128];
    return status_set(st, code, "%s: %s", what, strerror_r(error, reason, sizeof(reason)));
}

enum status_code status_prefix(struct status *st, const char *format, ...)
{
    if (st == NULL)
        return STATUS_INTERNAL;
    char context[STATUS_DETAIL_MAX];
    char rest[STATUS_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    memcpy(rest, st->detail, sizeof(rest));
    return status_set(st, st->code, "%s: %s", context, rest);
}

void status_clear(struct status *st)
{
    st->code = STATUS_OK;
    st->detail[0] = '\0';
}
