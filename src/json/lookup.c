// SPDX-License-Identifier: Apache-2.0
#include "json/lookup.h"

#include "core/mem.h"
#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>

uint32_t lookup_member(const struct tape *tape, uint32_t object, const char *name)
{
    size_t length = strlen(name);
    if (object == TAPE_NONE || tape->tokens[object].kind != TAPE_OBJECT)
        return TAPE_NONE;
    return tape_member(tape, object, name, length, tape_hash(name, length));
}

char *lookup_text(const struct tape *tape, uint32_t value)
{
    if (value == TAPE_NONE || tape->tokens[value].kind != TAPE_STRING)
        return NULL;
    size_t room;
    tape_string(tape, value, &room);
    char *text = mem_alloc(room + 1);
    text[text_unescape(tape, value, text)] = '\0';
    return text;
}

char *lookup_raw(const struct tape *tape, uint32_t value)
{
    size_t length;
    if (value == TAPE_NONE)
        return NULL;
    const char *raw = tape_raw(tape, value, &length);
    return mem_strndup(raw, length);
}

bool lookup_is(const struct tape *tape, uint32_t value, const char *text)
{
    return value != TAPE_NONE && tape->tokens[value].kind == TAPE_STRING &&
           text_string_equals(tape, value, text, strlen(text));
}

int64_t lookup_integer(const struct tape *tape, uint32_t value, int64_t otherwise)
{
    size_t length;
    if (value == TAPE_NONE || tape->tokens[value].kind != TAPE_NUMBER)
        return otherwise;
    const char *raw = tape_raw(tape, value, &length);
    number_to_int64(raw, length, &otherwise);
    return otherwise;
}

// `nested` keeps {"error": {"message": ...}} from going deeper.
static char *explanation(const struct tape *tape, uint32_t object, bool nested)
{
    static const char *const names[] = {
        "error_description", "errorDescription", "message", "error", "code", NULL};
    for (const char *const *name = names; *name != NULL; name++) {
        uint32_t value = lookup_member(tape, object, *name);
        if (value == TAPE_NONE)
            continue;
        char *text = lookup_text(tape, value);
        if (text == NULL && tape->tokens[value].kind == TAPE_NUMBER)
            text = lookup_raw(tape, value);
        if (text == NULL && tape->tokens[value].kind == TAPE_OBJECT && !nested)
            text = explanation(tape, value, true);
        if (text != NULL && text[0] != '\0')
            return text;
        free(text);
    }
    return NULL;
}

char *lookup_explanation(const struct tape *tape)
{
    return explanation(tape, 0, false);
}
