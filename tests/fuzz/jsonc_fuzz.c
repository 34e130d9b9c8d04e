// SPDX-License-Identifier: Apache-2.0
// json/tape beside json-c in its strict mode: both accept a text or both refuse it, and the values
// are the same. Where they are known to differ, `excused()` says so, one line each.
#include "fuzz.h"

#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"

#include <json-c/json.h>
#include <math.h>

// Theirs counts otherwise, so it gets more room than ours; ours decides (TAPE_DEPTH).
#define THEIR_DEPTH (4 * TAPE_DEPTH_DEFAULT)

static bool contains(const char *text, size_t length, const char *what)
{
    return length > 0 && memmem(text, length, what, strlen(what)) != NULL;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20)
            return true;
    return false;
}

static struct json_object *their_parse(const char *text, size_t length,
                                       enum json_tokener_error *error_r)
{
    struct json_tokener *tokener = json_tokener_new_ex(THEIR_DEPTH);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    // With its NUL, which ends a number at the root.
    struct json_object *value = json_tokener_parse_ex(tokener, text, (int)length + 1);
    *error_r = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    return value;
}

// It is refused within what can be read as a number: "2.", "1e", "-", "01.5".
static bool within_number(const struct tape *tape, const char *text)
{
    static const char characters[] = "0123456789+-.eE";
    size_t at = tape->error_offset;
    return strncmp(tape->error_message, "expected a digit", 16) == 0 ||
           (at > 0 && text[at] != '\0' && strchr(characters, text[at - 1]) != NULL &&
            strchr(characters, text[at]) != NULL);
}

// Ours refuses, theirs accepts.
static bool excused_refusal(const struct tape *tape, const char *text, size_t length)
{
    return tape->error == TAPE_DEPTH ||            // 128 here
           tape->error == TAPE_DUPLICATE_MEMBER || // the last one wins there
           tape->error == TAPE_ENCODING ||         // lone surrogates become U+FFFD there
           within_number(tape, text) ||            // theirs is what strtod() takes
           contains(text, length, "NaN") || contains(text, length, "Infinity") || // values there
           memchr(text, '\0', length) != NULL || // ends the text there
           memchr(text, '\'', length) != NULL || // may quote a name there (0.16)
           has_control(text, length); // control characters in strings are fine there (0.16)
}

static bool has_infinite_number(const struct tape *tape)
{
    for (uint32_t i = 0; i < tape->n_tokens; i++) {
        size_t length;
        const char *raw = tape->tokens[i].kind == TAPE_NUMBER ? tape_raw(tape, i, &length) : NULL;
        if (raw != NULL && !number_is_finite(raw, length))
            return true;
    }
    return false;
}

// Ours accepts, theirs refuses.
static bool excused_acceptance(enum json_tokener_error error, const struct tape *tape,
                               const char *text, size_t length)
{
    return error == json_tokener_error_depth ||
           // 0.18: beyond a double's range
           (error == json_tokener_error_parse_number && has_infinite_number(tape)) ||
           // 0.18: a character of several bytes soon after an escape
           (error == json_tokener_error_parse_utf8_string && contains(text, length, "\\"));
}

// --- values --------------------------------------------------------------------------------------

static void compare_values(const struct tape *tape, uint32_t token, struct json_object *theirs);

static void compare_number(const struct tape *tape, uint32_t token, struct json_object *theirs)
{
    size_t length;
    const char *raw = tape_raw(tape, token, &length);
    int64_t whole;
    double value;
    enum number_result result = number_to_int64(raw, length, &whole);

    if (json_object_get_type(theirs) == json_type_double) {
        number_to_double(raw, length, &value);
        FUZZ_CHECK(value == json_object_get_double(theirs), "%.*s", (int)length, raw);
        return;
    }
    FUZZ_CHECK(json_object_get_type(theirs) == json_type_int, "%.*s", (int)length, raw);
    if (result == NUMBER_OK) // theirs stops at the ends of its range
        FUZZ_CHECK(json_object_get_int64(theirs) == whole, "%.*s", (int)length, raw);
}

static void compare_string(const struct tape *tape, uint32_t token, struct json_object *theirs)
{
    size_t length = (size_t)json_object_get_string_len(theirs);
    FUZZ_CHECK(text_string_equals(tape, token, json_object_get_string(theirs), length), "token %u",
               token);
}

static void compare_members(const struct tape *tape, uint32_t token, struct json_object *theirs)
{
    FUZZ_CHECK((uint32_t)json_object_object_length(theirs) == tape->tokens[token].count, "token %u",
               token);
    json_object_object_foreach(theirs, name, value)
    {
        size_t length = strlen(name);
        uint32_t ours = tape_member(tape, token, name, length, tape_hash(name, length));
        FUZZ_CHECK(ours != TAPE_NONE, "%s", name);
        compare_values(tape, ours, value);
    }
}

static void compare_elements(const struct tape *tape, uint32_t token, struct json_object *theirs)
{
    size_t n = json_object_array_length(theirs);
    FUZZ_CHECK(n == tape->tokens[token].count, "token %u", token);
    uint32_t element = token + 1;
    for (size_t i = 0; i < n; i++, element = tape->tokens[element].next)
        compare_values(tape, element, json_object_array_get_idx(theirs, i));
}

static void compare_values(const struct tape *tape, uint32_t token, struct json_object *theirs)
{
    static const enum json_type types[] = {
        [TAPE_NULL] = json_type_null,     [TAPE_FALSE] = json_type_boolean,
        [TAPE_TRUE] = json_type_boolean,  [TAPE_NUMBER] = json_type_int,
        [TAPE_STRING] = json_type_string, [TAPE_ARRAY] = json_type_array,
        [TAPE_OBJECT] = json_type_object};
    unsigned kind = tape->tokens[token].kind;
    if (kind != TAPE_NUMBER)
        FUZZ_CHECK(json_object_get_type(theirs) == types[kind], "token %u", token);
    if (kind == TAPE_TRUE || kind == TAPE_FALSE)
        FUZZ_CHECK(json_object_get_boolean(theirs) == (kind == TAPE_TRUE), "token %u", token);
    else if (kind == TAPE_NUMBER)
        compare_number(tape, token, theirs);
    else if (kind == TAPE_STRING)
        compare_string(tape, token, theirs);
    else if (kind == TAPE_ARRAY)
        compare_elements(tape, token, theirs);
    else if (kind == TAPE_OBJECT)
        compare_members(tape, token, theirs);
}

// An escaped pair whose code point ends like a surrogate (U+1D800) is U+FFFD there (0.16).
static bool has_confusing_pair(const struct tape *tape)
{
    bool found = false;
    for (uint32_t i = 0; i < tape->n_tokens && !found; i++) {
        size_t length;
        if ((tape->tokens[i].flags & TAPE_ESCAPED) == 0)
            continue;
        tape_string(tape, i, &length);
        unsigned char *text = malloc(length);
        size_t n = text_unescape(tape, i, (char *)text);
        for (size_t k = 0; k + 3 < n && !found; k++)
            found = text[k] >= 0xf0 && (text[k + 1] & 0x0f) == 0x0d && (text[k + 2] & 0x20) != 0;
        free(text);
    }
    return found;
}

int fuzz_one(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    enum json_tokener_error error;
    struct tape tape;

    tape_init(&tape, 0);
    bool ours = tape_parse(&tape, (const char *)data, size);
    struct json_object *value = their_parse(text, size, &error);
    bool theirs = error == json_tokener_success;
    if (ours && !theirs)
        FUZZ_CHECK(excused_acceptance(error, &tape, text, size), "%s",
                   json_tokener_error_desc(error));
    if (!ours && theirs)
        FUZZ_CHECK(excused_refusal(&tape, text, size), "%s", tape.error_message);
    // A name that holds U+0000 ends there in theirs.
    if (ours && theirs && !tape.has_nul && !has_confusing_pair(&tape))
        compare_values(&tape, 0, value);
    json_object_put(value);
    tape_deinit(&tape);
    free(text);
    return 0;
}
