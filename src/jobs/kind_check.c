// SPDX-License-Identifier: Apache-2.0
// Checks that all kinds' parameters share.
#include "kind_priv.h"

#include "config/suggest.h"
#include "json/number.h"
#include "json/pointer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *with_article(enum tape_kind kind)
{
    static const char *const names[] = {
        [TAPE_NULL] = "null",       [TAPE_FALSE] = "true or false", [TAPE_TRUE] = "true or false",
        [TAPE_NUMBER] = "a number", [TAPE_STRING] = "a string",     [TAPE_ARRAY] = "an array",
        [TAPE_OBJECT] = "an object"};
    return names[kind];
}

void check_fault(const struct tape *params, uint32_t at, struct job_faults *faults,
                 const char *format, ...)
{
    char message[512];
    struct buf pointer = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    pointer_of(params, at, &pointer);
    job_faults_add(faults, buf_text(&pointer), "%s", message);
    buf_deinit(&pointer);
}

uint32_t check_member(const struct tape *params, uint32_t object, const char *name,
                      enum tape_kind kind, struct job_faults *faults)
{
    uint32_t value = lookup_member(params, object, name);
    if (value == TAPE_NONE)
        return TAPE_NONE;
    enum tape_kind given = params->tokens[value].kind;
    if (given == kind || (kind == TAPE_TRUE && given == TAPE_FALSE))
        return value;
    check_fault(params, value, faults, "expected %s, not %s", with_article(kind),
                with_article(given));
    return TAPE_NONE;
}

static bool is_in(const struct tape *params, uint32_t key, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (lookup_is(params, key, *names))
            return true;
    }
    return false;
}

static void unknown(const struct tape *params, uint32_t key, const char *const *known,
                    const char *const *hints, struct job_faults *faults)
{
    struct suggest suggest;
    char *name = lookup_text(params, key);
    suggest_init(&suggest, name);
    for (; *known != NULL; known++)
        suggest_consider(&suggest, *known);
    for (; hints != NULL && *hints != NULL; hints++)
        suggest_consider(&suggest, *hints);
    check_fault(params, key, faults, "unknown member \"%.80s\"; %s", name,
                suggest_sentence(&suggest));
    suggest_deinit(&suggest);
    free(name);
}

void check_known(const struct tape *params, uint32_t object, const char *const *known,
                 const char *const *hints, struct job_faults *faults)
{
    uint32_t end = params->tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = params->tokens[key + 1].next) {
        if (!is_in(params, key, known))
            unknown(params, key, known, hints, faults);
    }
}

void check_range(const struct tape *params, uint32_t value, int64_t least, int64_t most,
                 struct job_faults *faults)
{
    size_t length;
    int64_t number;
    if (value == TAPE_NONE)
        return;
    const char *raw = tape_raw(params, value, &length);
    if (params->tokens[value].kind != TAPE_NUMBER ||
        number_to_int64(raw, length, &number) != NUMBER_OK || number < least || number > most)
        check_fault(params, value, faults, "must be a whole number from %" PRIi64 " to %" PRIi64,
                    least, most);
}
